"""Learned attention biases by distance bucket (T5)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tp_core.interfaces.layer_parts import PositionTable, PositionValues, StackPass
from tp_core.modules.layers.linear import Embedding
from tp_core.modules.positions.options import RelativeConfig
from tp_core.options.context import BuildContext
from tp_core.options.facts import HeadFacts


class RelativeBias(PositionTable):
    """Learned bias per head and distance bucket (T5; Raffel et al., 2020)."""

    def __init__(self, config: RelativeConfig, context: BuildContext) -> None:
        super().__init__()
        heads = context.fact(HeadFacts)
        assert heads is not None
        self.buckets, self.max_distance = config.buckets, config.max_distance
        self.bidirectional = config.both_ways(heads)
        self.bias = Embedding(config.buckets, heads.number, std=config.init_std)

    def bucket(self, distance: Tensor) -> Tensor:
        """The bucket of each signed distance (key position minus query position)."""
        buckets = self.buckets
        result = torch.zeros_like(distance)
        if self.bidirectional:
            buckets //= 2
            result = (distance > 0).long() * buckets
            distance = distance.abs()
        else:
            distance = -distance.clamp(max=0)
        exact = buckets // 2
        ratio = torch.log(distance.float().clamp(min=1) / exact) / math.log(self.max_distance / exact)
        far = (exact + (ratio * (buckets - exact)).long()).clamp(max=buckets - 1)
        return result + torch.where(distance < exact, distance, far)

    def forward(self, run: StackPass) -> PositionValues:
        distances = run.key_positions.unsqueeze(-2) - run.positions.unsqueeze(-1)
        bias: Tensor = self.bias(self.bucket(distances))
        return PositionValues(bias=bias.permute(0, 3, 1, 2))
