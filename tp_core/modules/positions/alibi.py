"""Attention biases that are linear in the distance (ALiBi)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tp_core.interfaces.layer_parts import PositionTable, PositionValues, StackPass
from tp_core.modules.positions.options import AlibiConfig
from tp_core.options.context import BuildContext
from tp_core.options.facts import HeadFacts


def alibi_slopes(heads: int) -> Tensor:
    """One slope per head, (heads,) (Press et al., 2022); as in BLOOM if the number of heads is not a power of two."""

    def powers(n: int) -> list[float]:
        start = 2.0 ** (-8.0 / n)
        return [start ** (i + 1) for i in range(n)]

    closest = 2 ** math.floor(math.log2(heads))
    slopes = powers(closest)
    if closest != heads:
        slopes += powers(2 * closest)[0::2][: heads - closest]
    return torch.tensor(slopes)


class AlibiBias(PositionTable):
    """Bias that is linear in the distance, without parameters (ALiBi; Press et al., 2022)."""

    slopes: Tensor

    def __init__(self, config: AlibiConfig, context: BuildContext) -> None:
        super().__init__()
        heads = context.fact(HeadFacts)
        assert heads is not None
        self.heads = heads.number
        self.register_buffer("slopes", torch.empty(self.heads), persistent=False)

    def reset_parameters(self) -> None:
        nn.Module.__setattr__(self, "slopes", alibi_slopes(self.heads).to(self.slopes.device))

    def forward(self, run: StackPass) -> PositionValues:
        distance = (run.key_positions.unsqueeze(-2) - run.positions.unsqueeze(-1)).abs().unsqueeze(1)
        return PositionValues(bias=-distance * self.slopes.view(1, -1, 1, 1))
