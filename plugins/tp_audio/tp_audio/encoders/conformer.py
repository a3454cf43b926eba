"""The conformer encoder (Gulati et al., 2020)."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from tp_audio.encoders.batch_norm import MaskedBatchNorm, frozen_statistics
from tp_audio.encoders.conformer_options import ConformerConfig
from tp_audio.encoders.relative_attention import RelativeSelfAttention
from tp_core.interfaces import Cache, Encoder, Sequence
from tp_core.modules.embeddings.sinusoidal import SinusoidalPosition
from tp_core.modules.embeddings.sinusoidal_options import SinusoidalPositionConfig
from tp_core.modules.layers.activation import ACTIVATIONS
from tp_core.modules.layers.attention import SelfAttention
from tp_core.modules.layers.documents import by_document
from tp_core.modules.layers.dropout import dropout
from tp_core.modules.layers.feed_forward import FeedForward
from tp_core.modules.layers.linear import Linear, draw
from tp_core.modules.layers.mask import AttentionState, positions_of, visible
from tp_core.modules.layers.positions import rotary_angles
from tp_core.options.context import BuildContext


class DepthwiseConvolution(nn.Conv1d):
    """A filter of its own for each channel, centred on its position."""

    def __init__(self, channels: int, width: int, bias: bool) -> None:
        super().__init__(channels, channels, width, padding=width // 2, groups=channels, bias=bias)

    def reset_parameters(self) -> None:
        draw(self.weight, 1 / math.sqrt(self.kernel_size[0]))
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class ConvolutionModule(nn.Module):
    """Gates, a depthwise convolution, norm, activation, and a projection back."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        hidden, bias, std = config.hidden_size, config.convolution_bias, config.init_std
        self.mask_padding = config.mask_padding
        self.expansion = Linear(hidden, 2 * hidden, bias=bias, std=std)
        self.depthwise = DepthwiseConvolution(hidden, config.kernel_size, bias)
        batch = config.convolution_norm == "batch"
        self.norm = MaskedBatchNorm(hidden) if batch else nn.LayerNorm(hidden, eps=config.norm_eps)
        self.output = Linear(hidden, hidden, bias=bias, std=std)
        self.activation = ACTIVATIONS[config.activation]

    def forward(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, length, hidden) → the same shape; nothing comes from padding, unless mask_padding is off."""
        states = F.glu(self.expansion(states))
        if mask is not None and self.mask_padding:
            states = states.masked_fill(~mask.unsqueeze(-1), 0)
        states = self.depthwise(states.transpose(1, 2)).transpose(1, 2)
        states = self.norm(states, mask) if isinstance(self.norm, MaskedBatchNorm) else self.norm(states)
        output: Tensor = self.output(self.activation(states))
        return output


class ConformerLayer(nn.Module):
    """Half a feed-forward layer, attention, convolution, half a feed-forward layer; each after a norm of its own."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        options, hidden = config.transformer(), config.hidden_size

        def norm() -> nn.Module:
            return nn.LayerNorm(hidden, eps=config.norm_eps)

        self.dropout = config.dropout
        self.first_norm, self.first_feed_forward = norm(), FeedForward(options, hidden)
        relative = config.position_encoding == "relative"
        self.attention_norm = norm()
        self.attention = (RelativeSelfAttention if relative else SelfAttention)(options, hidden)
        self.convolution_norm, self.convolution = norm(), ConvolutionModule(config)
        self.second_norm, self.second_feed_forward = norm(), FeedForward(options, hidden)
        self.final_norm = norm()

    def forward(self, states: Tensor, mask: Tensor | None, shared: AttentionState, sinusoids: Tensor | None) -> Tensor:
        """(batch, length, hidden) → the same shape."""
        states = states + 0.5 * self._drop(self.first_feed_forward(self.first_norm(states)))
        normal = self.attention_norm(states)
        if isinstance(self.attention, RelativeSelfAttention):
            assert sinusoids is not None
            mixed = self.attention.attend(normal, shared.bias, sinusoids)
        else:
            mixed, _ = self.attention(normal, shared)
        states = states + self._drop(mixed)
        states = states + self._drop(self.convolution(self.convolution_norm(states), mask))
        states = states + 0.5 * self._drop(self.second_feed_forward(self.second_norm(states)))
        final: Tensor = self.final_norm(states)
        return final

    def _drop(self, update: Tensor) -> Tensor:
        return dropout(update, self.dropout, self.training)


class ConformerEncoder(Encoder):
    """Conformer layers, after a dense layer where the embeddings have another width."""

    def __init__(self, config: ConformerConfig, context: BuildContext) -> None:
        super().__init__()
        self.config, hidden = config, config.hidden_size
        narrow = context.embedding_size != hidden
        self.projection = Linear(context.embedding_size, hidden, std=config.init_std) if narrow else None
        self.layers = nn.ModuleList(ConformerLayer(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(hidden, eps=config.norm_eps) if config.final_norm else nn.Identity()
        self.sinusoids = SinusoidalPosition(SinusoidalPositionConfig(), BuildContext(embedding_size=hidden))

    def forward(self, sequence: Sequence, cache: Cache | None = None) -> Sequence:
        """States (batch, length, embedding_size) → (batch, length, hidden_size).

        Raises:
            NotImplementedError: a cache, since states depend on later positions.
        """
        if cache is not None:
            raise NotImplementedError("the conformer's convolutions see later positions")
        if sequence.document_ids is not None:
            return by_document(self.forward, sequence)
        states = sequence.states if self.projection is None else self.projection(sequence.states)
        if sequence.mask is not None and not self.config.mask_padding:
            states = states.masked_fill(~sequence.mask.unsqueeze(-1), 0)  # what convolutions see behind the end
        shared = AttentionState(visible(sequence, "fully_visible", None))
        sinusoids: Tensor | None = None
        if self.config.position_encoding == "rotary":
            size = self.config.transformer().head_width(self.config.hidden_size)
            angles = rotary_angles(positions_of(sequence), size, self.config.rotary_theta, False, states.dtype)
            shared = AttentionState(shared.bias, rotation=angles)
        elif self.config.position_encoding == "relative":
            length = states.shape[1]
            distances = torch.arange(length - 1, -length, -1, device=states.device).unsqueeze(0)
            sinusoids = self.sinusoids.table(distances).to(states.dtype)
        for layer in self.layers:
            given = (states, sequence.mask, shared, sinusoids)
            if self.checkpoint_activations and self.training:
                contexts = partial(_contexts, layer)
                states = checkpoint(layer, *given, use_reentrant=False, context_fn=contexts)
            else:
                states = layer(*given)
        return sequence.with_states(self.norm(states))


def _contexts(layer: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """The contexts in which a layer runs: the first time, and when its activations are recomputed."""
    return nullcontext(), frozen_statistics(layer)
