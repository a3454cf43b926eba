"""Options of targets of pictures. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from tp_core.config import BuildContext, FieldSpec, Problem, VectorFacts
from tp_core.modules.config_classes import ClassTargetConfig

if TYPE_CHECKING:
    from tp_core.interfaces import Target


class DistilledClassificationConfig(ClassTargetConfig):
    """Classes of pictures from the class token and from the distillation token, averaged (DeiT)."""

    token_weight: float = Field(
        0.5,
        ge=0,
        le=1,
        description="part of the loss that is of the distillation token's classes; 0 where the target distill, "
        "which reads these, teaches them",
    )
    init_std: float = Field(0.02, gt=0)

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"labels:cls": FieldSpec(("batch",), "int64", self.num_labels)}

    def embeds(self, context: BuildContext) -> Mapping[str, VectorFacts]:
        return {self.stream or next(iter(context.streams), ""): VectorFacts(pooling=None)}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self.check_metrics()
        if context.grid is None or context.grid.leading < 2:
            message = "reads the class token and the distillation token; set model.distillation_token: true"
            yield Problem("", message)

    def build(self, context: BuildContext) -> "Target":
        from tp_vision.targets.deit import DistilledClassification

        return DistilledClassification(self, context)
