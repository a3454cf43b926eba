"""Options of sentence prediction. Torch-free."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec, VectorFacts
from tp_core.options.marks import TrainingOnly
from tp_core.options.ports import Port
from tp_core.options.target import TargetConfig


class SentencePredictionConfig(TargetConfig):
    """Sentence prediction from the first token: next sentence (BERT) or sentence order (ALBERT)."""

    implementation: ClassVar[str] = "tp_text.targets.sp:SentencePrediction"

    dropout: TrainingOnly[float] = Field(0.0, ge=0, lt=1)
    init_std: TrainingOnly[float] = Field(0.02, gt=0)

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.labels("sp"): FieldSpec(("batch",), high=2)}

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {"accuracy": MetricFacts("high")}

    def embeds(self, context: BuildContext) -> Mapping[str, VectorFacts]:
        return {self.stream or next(iter(context.streams), ""): VectorFacts("first")}
