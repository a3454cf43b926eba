"""Options of the target ``acme.rtd``. Torch-free."""

from collections.abc import Mapping
from typing import ClassVar

from tp_core import BuildContext, FieldSpec, MetricFacts, Port, TargetConfig
from tp_core.metrics import F1

#: The labels from the processor ``acme.rtd``.
REPLACED = Port.labels("replaced")


class ReplacedTokenDetectionConfig(TargetConfig):
    """Replaced token detection: classifies tokens as original or replaced (Clark et al., 2020)."""

    implementation: ClassVar[str] = "tp_acme.rtd_target:ReplacedTokenDetection"

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {REPLACED: FieldSpec()}

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {"accuracy": MetricFacts("high"), "f1": F1}
