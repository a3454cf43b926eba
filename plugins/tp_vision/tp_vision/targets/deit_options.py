"""Options of classification with a distillation token. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from pydantic import Field

from tp_core.modules.targets.options import ClassTargetConfig
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec, VectorFacts
from tp_core.options.marks import TrainingOnly
from tp_core.options.ports import Port
from tp_vision.facts import GridFacts


class DistilledClassificationConfig(ClassTargetConfig):
    """Classes of pictures from the class token and from the distillation token, averaged (DeiT)."""

    implementation: ClassVar[str] = "tp_vision.targets.deit:DistilledClassification"

    token_weight: float = Field(
        0.5,
        ge=0,
        le=1,
        description="weight of the distillation token's classifier in the loss; 0 if the target distill trains this "
        "classifier",
    )
    init_std: TrainingOnly[float] = Field(0.02, gt=0)

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.labels("cls"): FieldSpec(("batch",), "int64", self.num_labels)}

    def embeds(self, context: BuildContext) -> Mapping[str, VectorFacts]:
        return {self.stream or next(iter(context.streams), ""): VectorFacts(pooling=None)}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self.check_classes()
        grid = context.fact(GridFacts)
        if grid is None or grid.leading < 2:
            message = "needs a class token and a distillation token; set model.distillation_token: true"
            yield Problem("", message)
