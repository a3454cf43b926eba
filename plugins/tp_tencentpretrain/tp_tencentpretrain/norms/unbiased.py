"""The original's layer normalisation."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tp_core.modules.layers.dropout import dropout
from tp_tencentpretrain.norms.options import UnbiasedLayerNormConfig, UnbiasedLayerNormTwiceConfig


class UnbiasedLayerNorm(nn.Module):
    """(x - mean) / (s + eps) · weight + bias, where s² is the sum of squares divided by n - 1 (TencentPretrain)."""

    def __init__(self, config: UnbiasedLayerNormConfig, size: int) -> None:
        super().__init__()
        self.eps = config.eps
        self.weight, self.bias = nn.Parameter(torch.empty(size)), nn.Parameter(torch.empty(size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, states: Tensor) -> Tensor:
        """(..., size) → the same shape, in the precision of the weights as other norms."""
        states = states.to(self.weight.dtype)
        deviation, mean = torch.std_mean(states, dim=-1, keepdim=True)
        return self.weight * ((states - mean) / (deviation + self.eps)) + self.bias

    def weights_for(self, other: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights of a usual layer norm, whose deviation is divided by n and not by n - 1."""
        size = len(self.weight)
        return {**weights, "weight": weights["weight"] * math.sqrt((size - 1) / size)}


class UnbiasedLayerNormTwice(nn.Module):
    """Two norms, each with weights of its own."""

    def __init__(self, config: UnbiasedLayerNormTwiceConfig, size: int) -> None:
        super().__init__()
        own = UnbiasedLayerNormConfig(eps=config.eps)
        self.first, self.second = UnbiasedLayerNorm(own, size), UnbiasedLayerNorm(own, size)
        self.dropout = config.dropout

    def forward(self, states: Tensor) -> Tensor:
        """(..., size) → the same shape."""
        found: Tensor = self.second(dropout(self.first(states), self.dropout, self.training))
        return found
