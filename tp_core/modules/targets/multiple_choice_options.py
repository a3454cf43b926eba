"""Options of multiple choice. Torch-free."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.modules.layers.activation_names import Activation
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec, Pooling
from tp_core.options.marks import TrainingOnly
from tp_core.options.ports import Port
from tp_core.options.target import TargetConfig


class MultipleChoiceConfig(TargetConfig):
    """Multiple choice: pooling, optional hidden layer, a score for each choice of a question (SWAG, RACE, C3)."""

    implementation: ClassVar[str] = "tp_core.modules.targets.multiple_choice:MultipleChoice"
    sequences_per_sample: ClassVar[int] = 4

    pooling: Pooling | None = Field(None, description="first, last, mean or max; default: the model's pooling")
    hidden_layer: bool = Field(True, description="dense layer of width hidden_size before the score")
    activation: Activation = Field("tanh", description="activation of the hidden layer")
    dropout: TrainingOnly[float] = Field(0.1, ge=0, lt=1, description="dropout before the score")
    init_std: TrainingOnly[float] = Field(0.02, gt=0)

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.labels("choice"): FieldSpec(("batch",), "int64")}

    def pools(self, context: BuildContext) -> dict[str, Pooling]:
        return {self.stream or next(iter(context.streams), ""): self.pooling or context.pooling}

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {"accuracy": MetricFacts("high")}

    def effective(self, context: BuildContext) -> dict[str, Any]:
        found = super().effective(context)
        found["pooling"] = self.pooling or context.pooling
        if not self.hidden_layer:
            del found["activation"]
        return found
