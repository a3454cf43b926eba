"""Convolutions over positions that store the standard deviation of their initial weights."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from tp_core.modules.layers.linear import draw


class Conv1d(nn.Conv1d):
    """``nn.Conv1d`` with weights drawn from N(0, std) and a zero bias; default std sqrt(gain / inputs of a filter)."""

    def __init__(self, inputs: int, outputs: int, width: int, std: float | None, gain: float) -> None:
        self.std = std or math.sqrt(gain / (inputs * width))
        super().__init__(inputs, outputs, width)

    def reset_parameters(self) -> None:
        draw(self.weight, self.std)
        assert self.bias is not None
        nn.init.zeros_(self.bias)


class GatedConvolution(nn.Module):
    """``A ⊙ sigmoid(B)``, where A and B are the outputs of two convolutions (Dauphin et al., 2017).

    The first half of the rows of ``convolution.weight`` computes A, the second half computes B.
    """

    def __init__(self, inputs: int, outputs: int, width: int, std: float | None) -> None:
        super().__init__()
        # If A and B have variance 3, the product has variance 1, because the mean of sigmoid(B)² is a third.
        self.convolution = Conv1d(inputs, 2 * outputs, width, std, gain=3)

    def forward(self, states: Tensor) -> Tensor:
        """States (batch, inputs, length + width - 1) → (batch, outputs, length)."""
        return F.glu(self.convolution(states), dim=1)
