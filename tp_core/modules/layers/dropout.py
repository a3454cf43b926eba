"""Dropout (Srivastava et al., 2014), with random numbers that are cheap on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Of each element, 16 random bits decide, so that its chance is a multiple of 1 / 65536.
_CHANCES = 1 << 16


def draws_cheaply(values: Tensor) -> bool:
    """True for a tensor for which :func:`dropout` draws numbers in its own way: on a CPU, and outside of a compiler."""
    return values.device.type == "cpu" and not torch.compiler.is_compiling()


def dropout(values: Tensor, chance: float, training: bool = True) -> Tensor:
    """Each element is 0 with a chance, and otherwise as much larger as keeps its expectation.

    On a CPU, PyTorch draws one number of its generator for each element; one for four of them is enough. The chance is
    rounded to a multiple of 1 / 65536, and the factor is that of the rounded one.

    Args:
        values: any shape.
        chance: of an element to be dropped.
        training: without it, the values themselves are given back.
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
