"""Options of the target that predicts units. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.marks import ModelSize
from tp_core.options.ports import Port
from tp_core.options.target import TargetConfig


class UnitsConfig(TargetConfig):
    """Masked prediction of cluster units (HuBERT; Hsu et al., 2021; WavLM; Chen et al., 2022)."""

    implementation: ClassVar[str] = "tp_audio.targets.units:Units"

    num_units: int = Field(500, gt=1, description="number of units (clusters)")
    projection_size: ModelSize[int] = Field(256, gt=0, description="width of the projected states and the unit vectors")
    temperature: float = Field(0.1, gt=0, description="divisor of the cosine similarities")
    masked_weight: float = Field(1.0, ge=0, description="factor of the loss at masked frames")
    unmasked_weight: float = Field(0.0, ge=0, description="factor of the loss at unmasked frames")

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.labels("units"): FieldSpec(high=self.num_units)}

    def label_fields(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {
            "labels": FieldSpec(high=self.num_units),
            "masked": FieldSpec(("batch", "length"), "bool"),
        }

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if not self.masked_weight and not self.unmasked_weight:
            yield Problem("masked_weight", "and unmasked_weight are both 0, so nothing is learned")

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        weights = {"masked_accuracy": self.masked_weight, "unmasked_accuracy": self.unmasked_weight}
        return {name: MetricFacts("high") for name, weight in weights.items() if weight}
