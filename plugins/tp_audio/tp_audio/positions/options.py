"""Options of positions for attention over speech. Torch-free."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from tp_core.modules.positions.options import RelativeConfig
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import HeadFacts
from tp_core.options.marks import TrainingOnly
from tp_core.options.positions import PositionsConfig


class GatedRelativeConfig(RelativeConfig):
    """Learned bias per head and bucketed distance, gated by the states of each layer (WavLM; Chen et al., 2022)."""

    implementation: ClassVar[str] = "tp_audio.positions.gated:GatedBias"
    table: ClassVar[str] = "tp_audio.positions.gated:Distances"

    buckets: int = Field(320, gt=3, description="number of distance buckets; each direction has half of them")
    max_distance: int = Field(800, gt=1, description="distances from here on share the last bucket")

    def of_layer(self) -> bool:
        return True

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        heads = context.fact(HeadFacts)
        if heads is not None and context.hidden_size % heads.number:
            message = f"needs a number of heads that divides hidden_size {context.hidden_size}, got {heads.number}"
            yield Problem("", message)


class DistanceConfig(PositionsConfig):
    """Sinusoids of the distance between two positions, as a term of attention (Transformer-XL; Dai et al., 2019)."""

    implementation: ClassVar[str] = "tp_audio.positions.distance:DistanceScores"
    table: ClassVar[str] = "tp_audio.positions.distance:Sinusoids"

    init_std: TrainingOnly[float] = Field(0.02, gt=0, description="standard deviation of the initial weights")

    def of_layer(self) -> bool:
        return True

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if context.hidden_size % 2:
            yield Problem("", f"needs an even hidden_size, got {context.hidden_size}")
