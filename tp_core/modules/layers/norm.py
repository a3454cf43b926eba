"""Normalisation layers by name."""

from __future__ import annotations

from torch import nn


def build_norm(kind: str, size: int, eps: float, bias: bool = True) -> nn.Module:
    """``layernorm`` (Ba et al., 2016), ``rmsnorm`` (Zhang & Sennrich, 2019; T5 and LLaMA) or ``none``."""
    if kind == "layernorm":
        return nn.LayerNorm(size, eps=eps, bias=bias)
    if kind == "rmsnorm":
        return nn.RMSNorm(size, eps=eps)
    return nn.Identity()
