"""Options of the classification of tokens. Torch-free."""

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import ClassFacts, FieldSpec
from tp_core.options.marks import ModelSize, TrainingOnly
from tp_core.options.ports import Port
from tp_core.options.target import TargetConfig


class TokenClassificationConfig(TargetConfig):
    """Sequence labelling: a class for each token, such as the tags of named entities."""

    implementation: ClassVar[str] = "tp_core.modules.targets.token_classification:TokenClassification"

    num_labels: ModelSize[int] = Field(2, gt=1, description="number of classes")
    dropout: TrainingOnly[float] = Field(0.1, ge=0, lt=1, description="dropout before the classifier")
    crf: bool = Field(False, description="conditional random field over the labels of a sequence")
    label_smoothing: TrainingOnly[float] = Field(0.0, ge=0, lt=1)
    init_std: TrainingOnly[float] = Field(0.02, gt=0)

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.labels("token_cls"): FieldSpec(high=self.num_labels)}

    def published_facts(self) -> Iterable[ClassFacts]:
        yield ClassFacts(self.num_labels)

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {"accuracy": MetricFacts("high")}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if self.crf and self.label_smoothing:
            yield Problem("label_smoothing", "has no effect with crf; set it to 0")
