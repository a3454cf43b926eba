"""Self-attention with sinusoids of the distance between two positions (Transformer-XL; Dai et al., 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_core.modules.layers.attention import SelfAttention
from tp_core.modules.layers.linear import Linear, draw
from tp_core.modules.layers.mask import combine
from tp_core.modules.layers.transformer_options import TransformerOptions


class RelativeSelfAttention(SelfAttention):
    """A score is that of the contents, plus that of the query and the distance; each has a bias per head."""

    def __init__(self, options: TransformerOptions, hidden_size: int) -> None:
        super().__init__(options, hidden_size)
        self.std = options.init_std
        self.distance = Linear(hidden_size, self.heads * self.size, bias=False, std=options.init_std)
        self.content_bias = nn.Parameter(torch.empty(self.heads, self.size))
        self.distance_bias = nn.Parameter(torch.empty(self.heads, self.size))

    def reset_parameters(self) -> None:
        draw(self.content_bias, self.std)
        draw(self.distance_bias, self.std)

    def attend(self, states: Tensor, allowed: Tensor | None, sinusoids: Tensor) -> Tensor:
        """States (batch, length, hidden) → the same shape.

        Args:
            allowed: bool, broadcastable to (batch, heads, length, length); None when everything is seen.
            sinusoids: (1, 2 × length - 1, hidden) of the distances from query to key, ``length - 1`` down to
                ``1 - length``.
        """
        queries, keys, values = self.split(self.qkv(states)).chunk(3, dim=1)
        distances = self.split(self.distance(sinusoids))
        scores = (queries + self.distance_bias.unsqueeze(1)) @ distances.transpose(-1, -2)
        mask = combine(allowed, by_key(scores) * self.scale, states.dtype)
        return self.merge(self.mix(queries + self.content_bias.unsqueeze(1), keys, values, mask))


def by_key(scores: Tensor) -> Tensor:
    """Scores by distance, (..., length, 2 × length - 1), highest first → by key, (..., length, length)."""
    *lead, length, width = scores.shape
    # One more column moves each row on by one against the row before it, as its distances are.
    moved = F.pad(scores, (1, 0)).reshape(*lead, width + 1, length)[..., 1:, :]
    return moved.reshape(*lead, length, width)[..., :length]
