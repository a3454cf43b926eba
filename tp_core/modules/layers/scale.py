"""Learned factors per channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LayerScale(nn.Module):
    """A learned factor per channel, small at first (CaiT; Touvron et al., 2021)."""

    def __init__(self, size: int, initial: float) -> None:
        super().__init__()
        self.initial, self.weight = initial, nn.Parameter(torch.empty(size))

    def reset_parameters(self) -> None:
        nn.init.constant_(self.weight, self.initial)

    def forward(self, update: Tensor) -> Tensor:
        return update * self.weight
