"""Convolutions over positions whose initial standard deviation is part of the layer."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from tp_core.modules.layers.linear import draw


class Conv1d(nn.Conv1d):
    """``nn.Conv1d`` drawn from N(0, std), or N(0, sqrt(gain / inputs of a filter)); the bias starts at zero."""

    def __init__(self, inputs: int, outputs: int, width: int, std: float | None, gain: float) -> None:
        self.std = std or math.sqrt(gain / (inputs * width))
        super().__init__(inputs, outputs, width)

    def reset_parameters(self) -> None:
        draw(self.weight, self.std)
        assert self.bias is not None
        nn.init.zeros_(self.bias)


class GatedConvolution(nn.Module):
    """``A ⊙ sigmoid(B)`` of two convolutions (Dauphin et al., 2017).

    The first half of ``convolution.weight``'s rows is A, the second B.
    """

    def __init__(self, inputs: int, outputs: int, width: int, std: float | None) -> None:
        super().__init__()
        # With A and B of variance 3, that of the product is 1: the mean of sigmoid(B)² is a third.
        self.convolution = Conv1d(inputs, 2 * outputs, width, std, gain=3)

    def forward(self, states: Tensor) -> Tensor:
        """(batch, inputs, length + width - 1) → (batch, outputs, length)."""
        return F.glu(self.convolution(states), dim=1)
