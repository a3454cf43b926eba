"""Options that targets over a vocabulary share. Torch-free."""

from collections.abc import Mapping

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.target import TargetConfig
from tp_core.ports import WORD, Port


class VocabularyTargetConfig(TargetConfig):
    """Options that targets share which predict tokens."""

    tie: bool = Field(True, description="use the word embedding as the output matrix")
    init_std: float = Field(0.02, gt=0)

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {WORD: FieldSpec()} if self.tie else {}

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {"accuracy": MetricFacts("high")}
