"""Normalisation layers by name."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def build_norm(kind: str, size: int, eps: float, bias: bool = True) -> nn.Module:
    """``layernorm`` (Ba et al., 2016), ``rmsnorm`` (Zhang & Sennrich, 2019; T5 and LLaMA) or ``none``."""
    if kind == "layernorm":
        return nn.LayerNorm(size, eps=eps, bias=bias)
    if kind == "rmsnorm":
        return nn.RMSNorm(size, eps=eps)
    return nn.Identity()


class LayerScale(nn.Module):
    """A learned factor per channel, small at first (CaiT; Touvron et al., 2021)."""

    def __init__(self, size: int, initial: float) -> None:
        super().__init__()
        self.initial, self.weight = initial, nn.Parameter(torch.empty(size))

    def reset_parameters(self) -> None:
        nn.init.constant_(self.weight, self.initial)

    def forward(self, update: Tensor) -> Tensor:
        return update * self.weight
