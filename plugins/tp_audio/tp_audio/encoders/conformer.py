"""The conformer encoder (Gulati et al., 2020)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, cast

from torch import Tensor, nn
from torch.nn import functional as F

from tp_audio.encoders.batch_norm import MaskedBatchNorm, frozen_statistics
from tp_audio.encoders.conformer_options import ConformerConfig
from tp_core.interfaces import Encoder, Sequence
from tp_core.interfaces.kv_cache import KVCache
from tp_core.interfaces.layer_parts import Mixer
from tp_core.modules.build import built
from tp_core.modules.layers.activation import ACTIVATIONS
from tp_core.modules.layers.documents import by_document
from tp_core.modules.layers.dropout import dropout
from tp_core.modules.layers.linear import Linear, draw
from tp_core.modules.layers.recompute import recomputed
from tp_core.modules.layers.shared_parts import SharedParts
from tp_core.options.context import BuildContext


class DepthwiseConvolution(nn.Conv1d):
    """A depthwise convolution: one filter per channel, centred on its position."""

    def __init__(self, channels: int, width: int, bias: bool) -> None:
        super().__init__(channels, channels, width, padding=width // 2, groups=channels, bias=bias)

    def reset_parameters(self) -> None:
        draw(self.weight, 1 / math.sqrt(self.kernel_size[0]))
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class ConvolutionModule(nn.Module):
    """The conformer's convolution module: GLU, depthwise convolution, norm, activation and projection."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        hidden, bias, std = config.hidden_size, config.convolution_bias, config.init_std
        self.mask_padding = config.mask_padding
        self.expansion = Linear(hidden, 2 * hidden, bias=bias, std=std)
        self.depthwise = DepthwiseConvolution(hidden, config.kernel_size, bias)
        batch = config.convolution_norm == "batch"
        self.norm = MaskedBatchNorm(hidden) if batch else built(config.norm.config, hidden)
        self.output = Linear(hidden, hidden, bias=bias, std=std)
        self.activation = ACTIVATIONS[config.activation]

    def forward(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, length, hidden) → the same shape. With mask_padding, padding has no influence."""
        states = F.glu(self.expansion(states))
        if mask is not None and self.mask_padding:
            states = states.masked_fill(~mask.unsqueeze(-1), 0)
        states = self.depthwise(states.transpose(1, 2)).transpose(1, 2)
        states = self.norm(states, mask) if isinstance(self.norm, MaskedBatchNorm) else self.norm(states)
        output: Tensor = self.output(self.activation(states))
        return output


class ConformerLayer(nn.Module):
    """A half feed-forward layer, mixer, convolution and a second half feed-forward layer, each with a pre-norm."""

    def __init__(self, config: ConformerConfig, context: BuildContext) -> None:
        super().__init__()
        norm, hidden = config.norm.config.build, config.hidden_size
        self.dropout = config.dropout
        self.first_norm, self.first_feed_forward = norm(hidden), built(config.feed_forward.config, context)
        self.mixer_norm, self.mixer = norm(hidden), built(config.mixer.config, context, Mixer)
        self.convolution_norm, self.convolution = norm(hidden), ConvolutionModule(config)
        self.second_norm, self.second_feed_forward = norm(hidden), built(config.feed_forward.config, context)
        self.final_norm = norm(hidden)

    def forward(
        self, states: Tensor, mask: Tensor | None, prepared: Any, carried: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """(batch, length, hidden) → the same shape, and the value ``carried`` for the next layer's mixer."""
        states = states + 0.5 * self._drop(self.first_feed_forward(self.first_norm(states)))
        mixed, carried = self.mixer(self.mixer_norm(states), prepared, carried)
        states = states + self._drop(mixed)
        states = states + self._drop(self.convolution(self.convolution_norm(states), mask))
        states = states + 0.5 * self._drop(self.second_feed_forward(self.second_norm(states)))
        return self.final_norm(states), carried

    def _drop(self, update: Tensor) -> Tensor:
        return dropout(update, self.dropout, self.training)


class ConformerEncoder(Encoder):
    """Conformer layers. If the embeddings have another width, a linear layer before them changes it."""

    def __init__(self, config: ConformerConfig, context: BuildContext) -> None:
        super().__init__()
        self.config, hidden = config, config.hidden_size
        narrow = context.embedding_size != hidden
        self.projection = Linear(context.embedding_size, hidden, std=config.init_std) if narrow else None
        self.layers = nn.ModuleList(ConformerLayer(config, context) for _ in range(config.num_layers))
        self.norm = built(config.norm.config, hidden) if config.final_norm else nn.Identity()
        self.shared = SharedParts([cast(ConformerLayer, self.layers[0]).mixer])

    def forward(self, sequence: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        """States (batch, length, embedding_size) → (batch, length, hidden_size).

        Raises:
            NotImplementedError: a kv_cache is given, but states depend on later positions.
        """
        if kv_cache is not None:
            raise NotImplementedError("the conformer's convolutions see later positions")
        if sequence.document_ids is not None:
            return by_document(self.forward, sequence)
        states = sequence.states if self.projection is None else self.projection(sequence.states)
        if sequence.mask is not None and not self.config.mask_padding:
            states = states.masked_fill(~sequence.mask.unsqueeze(-1), 0)  # convolutions see zeros in padding
        prepared = cast(ConformerLayer, self.layers[0]).mixer.prepare(self.shared.begin(sequence.with_states(states)))
        carried = None
        for layer in self.layers:
            given = (states, sequence.mask, prepared, carried)
            if self.checkpoint_activations and self.training:
                contexts = partial(_contexts, layer)
                how = self.checkpoint_activations
                states, carried = recomputed(how, layer, *given, contexts=contexts)
            else:
                states, carried = layer(*given)
        return sequence.with_states(self.norm(states))

    def repeated_layers(self) -> Iterator[nn.Module]:
        yield from self.layers


def _contexts(layer: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Contexts for a layer's forward pass and for the recomputation of its activations."""
    return nullcontext(), frozen_statistics(layer)
