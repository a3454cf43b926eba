"""Options of the contrastive target. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec, Pooling, VectorFacts
from tp_core.options.marks import ModelSize
from tp_core.options.ports import Port
from tp_core.options.target import TargetConfig


class ContrastiveConfig(TargetConfig):
    """Contrastive loss between two streams, with negatives from the batch (CLIP; SimCSE; Quick-Thoughts)."""

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

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.labels("clr"): FieldSpec(("batch",))}

    def pools(self, context: BuildContext) -> dict[str, Pooling]:
        return {name: facts.pooling for name, facts in context.streams.items()}

    def embeds(self, context: BuildContext) -> Mapping[str, VectorFacts]:
        return {
            name: VectorFacts(how, self.projection_size, self.normalize, compared=True)
            for name, how in self.pools(context).items()
        }

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        names = list(context.streams)
        ways = [f"accuracy_{one}_to_{other}" for one, other in zip(names, reversed(names))]
        return dict.fromkeys(["accuracy", *ways], MetricFacts("high"))

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from two_streams(context, "compares")
        widths = {facts.hidden_size for facts in context.streams.values()}
        if len(widths) > 1 and self.projection_size is None:
            shown = " and ".join(f"{facts.hidden_size} ('{name}')" for name, facts in context.streams.items())
            yield Problem("projection_size", f"is required: the streams have different widths, {shown}")


def two_streams(context: BuildContext, does: str) -> Iterator[Problem]:
    """Yield a problem if the model does not have exactly two streams.

    Args:
        context: the context of the target.
        does: the verb of the message, such as ``compares``.
    """
    if len(context.streams) != 2:
        have = f"this one has {', '.join(context.streams)}" if context.streams else "this one has none"
        yield Problem("", f"{does} exactly two streams (model.streams); {have}")
