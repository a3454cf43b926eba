"""Options of replaced token detection. Torch-free."""

from collections.abc import Mapping
from typing import ClassVar

from tp_core import BuildContext, FieldSpec, MetricFacts, TargetConfig
from tp_core.metrics import F1


class ReplacedTokenDetectionConfig(TargetConfig):
    """Replaced token detection: which tokens are not those of the text (Clark et al., 2020)."""

    implementation: ClassVar[str] = "tp_acme.rtd_target:ReplacedTokenDetection"

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"labels:replaced": FieldSpec()}

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {"accuracy": MetricFacts("high"), "f1": F1}
