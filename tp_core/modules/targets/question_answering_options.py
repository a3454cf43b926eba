"""Options of extractive question answering. Torch-free."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.marks import PredictionOnly, TrainingOnly
from tp_core.options.ports import Port
from tp_core.options.target import TargetConfig


class QuestionAnsweringConfig(TargetConfig):
    """Extractive question answering: the first and the last token of the answer (Devlin et al., 2019)."""

    implementation: ClassVar[str] = "tp_core.modules.targets.question_answering:QuestionAnswering"

    terms: ClassVar[Mapping[str, str]] = {
        "dropout": "qa_dropout",
        "n_best": "n_best_size",
        "max_answer_length": "max_answer_len",
    }

    dropout: TrainingOnly[float] = Field(0.0, ge=0, lt=1, description="dropout before the linear layer")
    init_std: TrainingOnly[float] = Field(0.02, gt=0)
    n_best: PredictionOnly[int] = Field(20, gt=0, description="number of spans that a prediction has, the best first")
    max_answer_length: PredictionOnly[int] = Field(30, gt=0, description="maximum number of tokens of a predicted span")

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.labels("qa"): FieldSpec(("batch",))}

    def label_fields(self, context: BuildContext) -> dict[str, FieldSpec]:
        place = FieldSpec(("batch",))
        return {"start": place, "end": place, "context": FieldSpec(("batch", 2))}

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {"accuracy": MetricFacts("high")}
