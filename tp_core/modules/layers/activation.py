"""Activation functions by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F


def _quick_gelu(x: Tensor) -> Tensor:
    """``x · sigmoid(1.702 x)``, computed with SiLU.

    The forward and the backward pass of SiLU are one kernel each, which saves a third of the time on a CPU.
    """
    return F.silu(x * 1.702).mul_(1 / 1.702)


def _relu_squared(x: Tensor) -> Tensor:
    return F.relu(x).square()


def _linear(x: Tensor) -> Tensor:
    return x


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "quick_gelu": _quick_gelu,
    "relu": F.relu,
    "relu_squared": _relu_squared,
    "silu": F.silu,
    "tanh": torch.tanh,
    "linear": _linear,
}
