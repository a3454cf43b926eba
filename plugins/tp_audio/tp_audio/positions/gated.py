"""WavLM's positions: a relative bias that is gated by the states."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from tp_audio.positions.options import GatedRelativeConfig
from tp_core.interfaces.layer_parts import Positions, PositionValues, StackPass
from tp_core.modules.layers.linear import Linear
from tp_core.modules.positions.relative import RelativeBias
from tp_core.options.context import BuildContext
from tp_core.options.facts import HeadFacts


class Distances(RelativeBias):
    """The relative bias, (1, heads, queries, keys), which each layer gates."""

    def forward(self, run: StackPass) -> PositionValues:
        return PositionValues(super().forward(run).bias)


class GatedBias(Positions):
    """The bias times a factor per head, computed from the head's channels of the states (modelled on GRU gates)."""

    def __init__(self, config: GatedRelativeConfig, context: BuildContext) -> None:
        super().__init__(config, context)
        heads = context.fact(HeadFacts)
        assert heads is not None
        self.heads = heads.number
        self.projection = Linear(context.hidden_size // self.heads, 8, std=config.init_std)
        self.scale = nn.Parameter(torch.empty(1, self.heads, 1, 1))

    def reset_parameters(self) -> None:
        nn.init.ones_(self.scale)

    def bias(self, states: Tensor, queries: Tensor, values: Tensor) -> Tensor:
        heads = states.view(*states.shape[:2], self.heads, -1).transpose(1, 2)
        gates = self.projection(heads).unflatten(-1, (2, 4)).sum(dim=-1).sigmoid()
        update, reset = gates.chunk(2, dim=-1)
        return cast(Tensor, update * (reset * self.scale - 1) + 2) * values
