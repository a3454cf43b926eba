"""One transformer layer: attention and feed-forward, each with its residual connection and norm."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tp_core.interfaces import Cache
from tp_core.modules.layers.attention import CrossAttention, SelfAttention
from tp_core.modules.layers.dropout import dropout
from tp_core.modules.layers.feed_forward import FeedForward
from tp_core.modules.layers.fourier import FourierMixing
from tp_core.modules.layers.linear import Linear
from tp_core.modules.layers.mask import AttentionState
from tp_core.modules.layers.norm import LayerScale, build_norm
from tp_core.modules.layers.transformer_options import TransformerOptions


class TransformerLayer(nn.Module):
    """Self-attention, attention to a memory where there is one, and feed-forward.

    Each is normalised before (pre) or after (post) its residual addition.
    """

    def __init__(self, options: TransformerOptions, hidden_size: int, memory_size: int | None = None) -> None:
        super().__init__()

        def norm() -> nn.Module:
            return build_norm(options.norm, hidden_size, options.norm_eps, options.norm_bias)

        def scale() -> nn.Module:
            return nn.Identity() if options.layer_scale is None else LayerScale(hidden_size, options.layer_scale)

        self.pre = options.norm_position == "pre"
        self.dropout, self.layer_drop = options.dropout, options.layer_drop
        attends = options.uses_attention()
        self.attention = SelfAttention(options, hidden_size) if attends else FourierMixing()
        self.mixing_dropout = options.dropout if attends else 0.0  # FNet has none
        self.attention_norm, self.attention_scale = norm(), scale()
        self.cross_attention: CrossAttention | None = None
        if memory_size is not None:
            self.cross_attention = CrossAttention(options, hidden_size, memory_size)
            self.cross_attention_norm, self.cross_attention_scale = norm(), scale()
        self.feed_forward = FeedForward(options, hidden_size)
        self.feed_forward_norm, self.feed_forward_scale = norm(), scale()

    def forward(
        self, states: Tensor, shared: AttentionState, cache: Cache | None = None, layer: int = 0
    ) -> tuple[Tensor, AttentionState]:
        """States (batch, length, hidden) → the same shape, and the state for the next layer."""
        mixed, shared = self.attention(self._before(states, self.attention_norm), shared, cache, layer)
        states = self._after(states, self.attention_scale(mixed), self.attention_norm, self.mixing_dropout)
        if self.cross_attention is not None:
            mixed = self.cross_attention(self._before(states, self.cross_attention_norm), shared, cache, layer)
            states = self._after(states, self.cross_attention_scale(mixed), self.cross_attention_norm)
        update = self.feed_forward(self._before(states, self.feed_forward_norm))
        return self._after(states, self.feed_forward_scale(update), self.feed_forward_norm), shared

    def residual_outputs(self) -> list[Linear]:
        """The layers whose outputs are added to the states."""
        parts = [self.attention, self.cross_attention, self.feed_forward]
        return [part.output for part in parts if part is not None and not isinstance(part, FourierMixing)]

    def _before(self, states: Tensor, norm: nn.Module) -> Tensor:
        return norm(states) if self.pre else states

    def _after(self, states: Tensor, update: Tensor, norm: nn.Module, chance: float | None = None) -> Tensor:
        states = states + self._drop(update, chance)
        return states if self.pre else norm(states)

    def _drop(self, update: Tensor, chance: float | None = None) -> Tensor:
        if not self.training:
            return update
        chance = self.dropout if chance is None else chance
        if chance:
            update = dropout(update, chance)
        if self.layer_drop:
            keep = 1 - self.layer_drop
            kept = torch.empty((update.shape[0], 1, 1), device=update.device).bernoulli_(keep)
            update = update * (kept / keep).to(update.dtype)
        return update
