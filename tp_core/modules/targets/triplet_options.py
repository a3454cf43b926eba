"""Options of the triplet loss. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.modules.targets.streams import different_widths
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec, Pooling, VectorFacts
from tp_core.options.marks import TrainingOnly
from tp_core.options.ports import Port
from tp_core.options.target import TargetConfig


class TripletConfig(TargetConfig):
    """Triplet loss: an anchor is nearer to its positive than to its negative, by a margin (SBERT).

    The anchor is in the first stream, the positive in the second and the negative in the third.
    """

    implementation: ClassVar[str] = "tp_core.modules.targets.triplet:Triplet"
    reads_streams: ClassVar[bool] = True

    distance: Literal["euclidean", "cosine"] = Field(
        "euclidean", description="distance of two vectors: euclidean, or 1 - cosine"
    )
    margin: TrainingOnly[float] = Field(1.0, gt=0, description="wanted difference of the two distances")
    pooling: Pooling | None = Field(None, description="first, last, mean or max; default: the pooling of the streams")

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.labels("clr"): FieldSpec(("batch",))}

    def pools(self, context: BuildContext) -> dict[str, Pooling]:
        return {name: self.pooling or facts.pooling for name, facts in context.streams.items()}

    def embeds(self, context: BuildContext) -> Mapping[str, VectorFacts]:
        cosine = self.distance == "cosine"
        return {
            name: VectorFacts(how, normalize=cosine, compared=self.distance)
            for name, how in self.pools(context).items()
        }

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {"accuracy": MetricFacts("high")}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if self.stream is not None:
            yield Problem("stream", "is for a target that reads one stream; this target compares three")
        if len(context.streams) != 3:
            have = f"this one has {', '.join(context.streams)}" if context.streams else "this one has none"
            yield Problem("", f"compares three streams (model.streams): anchor, positive and negative; {have}")
        elif different := different_widths(context):
            yield Problem("", f"compares vectors of equal width, but {different}")
