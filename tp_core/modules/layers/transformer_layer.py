"""One transformer layer: attention and feed-forward, each with its residual connection and norm."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_core.interfaces import Cache
from tp_core.modules.config import TransformerOptions
from tp_core.modules.layers.attention import SelfAttention
from tp_core.modules.layers.feed_forward import FeedForward
from tp_core.modules.layers.mask import AttentionState
from tp_core.modules.layers.norm import build_norm


class TransformerLayer(nn.Module):
    """Self-attention and feed-forward, normalised before (pre) or after (post) each residual addition."""

    def __init__(self, options: TransformerOptions, hidden_size: int, name: str) -> None:
        super().__init__()
        self.pre = options.norm_position == "pre"
        self.dropout, self.layer_drop = options.dropout, options.layer_drop
        self.attention = SelfAttention(options, hidden_size, name)
        self.feed_forward = FeedForward(options, hidden_size)
        self.attention_norm = build_norm(options.norm, hidden_size, options.norm_eps, options.norm_bias)
        self.feed_forward_norm = build_norm(options.norm, hidden_size, options.norm_eps, options.norm_bias)

    def forward(self, states: Tensor, shared: AttentionState, cache: Cache | None) -> tuple[Tensor, AttentionState]:
        """States (batch, length, hidden) → the same shape, and the state for the next layer."""
        if self.pre:
            mixed, shared = self.attention(self.attention_norm(states), shared, cache)
            states = states + self._drop(mixed)
            return states + self._drop(self.feed_forward(self.feed_forward_norm(states))), shared
        mixed, shared = self.attention(states, shared, cache)
        states = self.attention_norm(states + self._drop(mixed))
        return self.feed_forward_norm(states + self._drop(self.feed_forward(states))), shared

    def _drop(self, update: Tensor) -> Tensor:
        if not self.training:
            return update
        if self.dropout:
            update = F.dropout(update, self.dropout)
        if self.layer_drop:
            keep = 1 - self.layer_drop
            kept = torch.empty((update.shape[0], 1, 1), device=update.device).bernoulli_(keep)
            update = update * (kept / keep).to(update.dtype)
        return update
