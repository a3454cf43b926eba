"""Options that classification targets share. Torch-free."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from tp_core.metrics.classes import BINARY, CLASS_METRICS
from tp_core.metrics.facts import MetricFacts
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import ClassFacts
from tp_core.options.marks import ModelSize, TrainingOnly
from tp_core.options.target import TargetConfig

ClassMetric = Literal["accuracy", "f1", "f1_macro", "f1_micro", "matthews", "auc"]


class ClassTargetConfig(TargetConfig):
    """Base of targets that classify whole samples."""

    num_labels: ModelSize[int] = Field(2, gt=1, description="number of classes")

    label_smoothing: TrainingOnly[float] = Field(0.0, ge=0, lt=1)
    metrics: list[ClassMetric] = Field(
        ["accuracy"],
        min_length=1,
        description="metrics: accuracy; f1 (of class 1 of two classes); f1_macro; f1_micro; matthews (correlation "
        "coefficient); auc (area under the ROC curve of two classes, only in evaluations)",
    )

    def published_facts(self) -> Iterable[ClassFacts]:
        yield ClassFacts(self.num_labels)

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {name: CLASS_METRICS[name] for name in self.metrics}

    def check_metrics(self) -> Iterator[Problem]:
        """Yield the problems of metrics that do not fit the number of classes, or that are listed twice."""
        others = ", ".join(name for name in CLASS_METRICS if name not in BINARY)
        for name in dict.fromkeys(self.metrics):
            if name in BINARY and self.num_labels != 2:
                yield Problem(
                    "metrics", f"{name} is for two classes, but num_labels is {self.num_labels}; use {others}"
                )
            if self.metrics.count(name) > 1:
                yield Problem("metrics", f"{name} is listed twice")

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self.check_metrics()
        yield from super().check(context)

    def effective(self, context: BuildContext) -> dict[str, Any]:
        found = super().effective(context)
        del found["metrics"]
        return found
