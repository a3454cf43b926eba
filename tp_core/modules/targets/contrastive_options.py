"""Options of the contrastive target. Torch-free."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.modules.targets.streams import check_streams, different_widths
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import Comparison, FieldSpec, Pooling, VectorFacts
from tp_core.options.marks import ModelSize, TrainingOnly
from tp_core.options.ports import Port
from tp_core.options.target import TargetConfig


class ContrastiveConfig(TargetConfig):
    """Contrastive loss between two streams, with negatives from the batch (CLIP; SimCSE; Quick-Thoughts).

    A third stream has a hard negative of each pair (supervised SimCSE).
    """

    implementation: ClassVar[str] = "tp_core.modules.targets.contrastive:Contrastive"
    least_samples: ClassVar[int] = 2
    reads_streams: ClassVar[bool] = True

    projection_size: ModelSize[int | None] = Field(
        None, gt=0, description="width of the projection of both streams, without bias; default: no projection"
    )
    normalize: bool = Field(True, description="true: compare by cosine; false: by dot product")
    temperature: float = Field(0.07, gt=0, description="divisor of the similarities; the initial value if learned")
    learned_temperature: bool = Field(True, description="train the temperature, with a minimum of 0.01 (CLIP)")
    symmetric: bool = Field(
        True, description="mean of the losses in both directions; false: only from the first stream to the second"
    )
    hard_negative_weight: TrainingOnly[float] = Field(
        1.0,
        gt=0,
        description="weight of a pair's own hard negative, which is in a third stream, among all negatives (SimCSE)",
    )

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.labels("clr"): FieldSpec(("batch",))}

    def pools(self, context: BuildContext) -> dict[str, Pooling]:
        return {name: facts.pooling for name, facts in context.streams.items()}

    def embeds(self, context: BuildContext) -> Mapping[str, VectorFacts]:
        compared: Comparison = "cosine" if self.normalize else "dot"
        return {
            name: VectorFacts(how, self.projection_size, self.normalize, compared)
            for name, how in self.pools(context).items()
        }

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        names = list(context.streams)[:2]
        ways = [f"accuracy_{one}_to_{other}" for one, other in zip(names, reversed(names))]
        return dict.fromkeys(["accuracy", *ways], MetricFacts("high"))

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from check_streams(self, context, "hard negatives")
        if self.hard_negative_weight != 1 and len(context.streams) == 2:
            yield Problem("hard_negative_weight", "weights the texts of a third stream; the model has two streams")
        if self.projection_size is None and (different := different_widths(context)):
            yield Problem("projection_size", f"is required: {different}")
        widths = [facts.hidden_size for facts in context.streams.values()]
        if len(widths) == 3 and widths[1] != widths[2]:
            yield Problem("", f"projects the last two streams alike, but {different_widths(context)}")

    @staticmethod
    def projection_number(streams: Sequence[str], stream: str) -> int:
        """The number of a stream's projection. Hard negatives are projected like the second stream."""
        return min(streams.index(stream), 1)
