"""Options of positions that belong to attention. Torch-free."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import HeadFacts
from tp_core.options.positions import PositionsConfig


class NoPositionsConfig(PositionsConfig):
    """No positions in attention: those of the embedding, or of the mask, are all there are."""


class RelativeConfig(PositionsConfig):
    """Learned bias per head and bucketed distance, one table for all layers (T5; Raffel et al., 2020)."""

    table: ClassVar[str] = "tp_core.modules.positions.relative:RelativeBias"

    buckets: int = Field(32, gt=1, description="buckets of distances, half of them for each direction that is seen")
    max_distance: int = Field(128, gt=1, description="distance from which all fall into the last bucket")
    init_std: float = Field(0.02, gt=0, description="standard deviation of the initial weights")

    def check(self, context: BuildContext) -> Iterator[Problem]:
        # Half of the buckets (of each direction, where there are two) hold one distance each.
        heads = context.fact(HeadFacts)
        single = self.buckets // (4 if heads is None or heads.two_way else 2)
        if single < 1:
            yield Problem("buckets", f"must be at least 4 where both directions are seen, got {self.buckets}")
        elif self.max_distance <= single:
            message = f"must be greater than {single}, the distances that have a bucket of their own"
            yield Problem("max_distance", f"{message}; got {self.max_distance}")


class AlibiConfig(PositionsConfig):
    """Linear bias by distance, without weights (ALiBi; Press et al., 2022)."""

    table: ClassVar[str] = "tp_core.modules.positions.alibi:AlibiBias"
