"""Options of positions in attention. Torch-free."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import HeadFacts
from tp_core.options.marks import TrainingOnly
from tp_core.options.positions import PositionsConfig


class NoPositionsConfig(PositionsConfig):
    """No positions in attention; the model only has those of the embedding and the mask."""


class RelativeConfig(PositionsConfig):
    """Learned bias per head and distance bucket, one table for all layers (T5; Raffel et al., 2020)."""

    table: ClassVar[str] = "tp_core.modules.positions.relative:RelativeBias"

    buckets: int = Field(32, gt=1, description="number of distance buckets; without a causal mask, half per direction")
    two_way: bool | None = Field(
        None, description="half of the buckets per direction; default: only if positions see later positions"
    )
    max_distance: int = Field(128, gt=1, description="distances from this number on fall into the last bucket")
    init_std: TrainingOnly[float] = Field(0.02, gt=0, description="standard deviation of the initial weights")

    def check(self, context: BuildContext) -> Iterator[Problem]:
        # In each direction, half of the buckets hold a single distance each.
        heads = context.fact(HeadFacts)
        single = self.buckets // (4 if self.both_ways(heads) else 2)
        if single < 1:
            yield Problem("buckets", f"must be at least 4 where both directions are seen, got {self.buckets}")
        elif self.max_distance <= single:
            message = f"must be greater than {single}, the distances that have a bucket of their own"
            yield Problem("max_distance", f"{message}; got {self.max_distance}")

    def both_ways(self, heads: HeadFacts | None) -> bool:
        """The option ``two_way``, or its default."""
        return (heads is None or heads.two_way) if self.two_way is None else self.two_way


class AlibiConfig(PositionsConfig):
    """Bias that is linear in the distance, without weights (ALiBi; Press et al., 2022)."""

    table: ClassVar[str] = "tp_core.modules.positions.alibi:AlibiBias"
