"""Dropout (Srivastava et al., 2014), with fast random numbers on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: 16 random bits are drawn for each element, so that probabilities are multiples of 1 / 65536.
_CHANCES = 1 << 16


def draws_cheaply(values: Tensor) -> bool:
    """True if :func:`dropout` uses its own fast random numbers: for tensors on a CPU, outside of a compiler."""
    return values.device.type == "cpu" and not torch.compiler.is_compiling()


def dropout(values: Tensor, chance: float, training: bool = True) -> Tensor:
    """Set each element to 0 with a probability, and scale the other elements so that the expectation stays the same.

    On a CPU, PyTorch draws one 64-bit random number for each element; here one number serves four elements. The
    probability is rounded to a multiple of 1 / 65536, and the scale matches the rounded probability.

    Args:
        values: a tensor of any shape.
        chance: probability that an element is dropped.
        training: if False, the values are returned unchanged.
    """
    threshold = round(chance * _CHANCES)
    if not (training and 0 < threshold < _CHANCES and draws_cheaply(values)):
        return F.dropout(values, chance, training)
    count = values.numel()
    drawn = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    kept = drawn.view(torch.int16)[:count].view(values.shape) >= threshold - _CHANCES // 2
    return values * kept.to(values.dtype).mul_(_CHANCES / (_CHANCES - threshold))


class Dropout(nn.Dropout):
    """:func:`dropout` as a module."""

    def forward(self, input: Tensor) -> Tensor:
        return dropout(input, self.p, self.training)
