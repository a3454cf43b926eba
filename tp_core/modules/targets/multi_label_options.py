"""Options of multi-label classification. Torch-free."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.metrics.label_sets import AVERAGE_PRECISION, LABEL_METRICS
from tp_core.modules.targets.pooled_options import PooledTargetConfig
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import ClassFacts, FieldSpec
from tp_core.options.marks import ModelSize, TrainingOnly
from tp_core.options.ports import Port

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec

Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class MultiLabelConfig(PooledTargetConfig):
    """Multi-label classification: any number of classes for each sample, each decided by its own probability."""

    implementation: ClassVar[str] = "tp_core.modules.targets.multi_label:MultiLabel"
    terms: ClassVar[Mapping[str, str]] = {
        "pos_weight": "class_weight class_weights pos_weights positive_weight",
        "threshold": "thresholds decision_threshold cutoff",
    }

    num_labels: ModelSize[int] = Field(2, gt=0, description="number of classes")
    label_smoothing: TrainingOnly[float] = Field(
        0.0, ge=0, lt=1, description="labels 0 and 1 become s/2 and 1 - s/2 in the loss"
    )
    pos_weight: TrainingOnly[list[Positive] | None] = Field(
        None, description="factor of the loss of a class where it is a label, one number per class; default: all 1"
    )
    threshold: Probability | list[Probability] = Field(
        0.5, description="a class with at least this probability is predicted; one number, or one per class"
    )
    tune_threshold: Literal["none", "shared", "per_class"] = Field(
        "none",
        description="find the thresholds with the highest F1 at each evaluation of the training; the model keeps them. "
        "shared: one threshold, with the highest f1_micro; per_class: one per class, each with the highest F1 of its "
        "class; a class without labels in the evaluation data keeps its threshold",
    )
    metrics: list[Literal["f1_micro", "f1_macro", "average_precision", "exact_match", "accuracy"]] = Field(
        ["f1_micro", "f1_macro"],
        min_length=1,
        description="metrics: f1_micro; f1_macro (mean over the classes); average_precision (mean over the classes, "
        "only in evaluations, always there with tune_threshold); exact_match (samples with exactly the right classes); "
        "accuracy (right decisions among all classes of all samples)",
    )

    def published_facts(self) -> Iterable[ClassFacts]:
        yield ClassFacts(self.num_labels)

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.labels("multi_label"): FieldSpec(("batch", self.num_labels), "float32")}

    def measured(self) -> list[str]:
        """Names of the metrics."""
        needed = [AVERAGE_PRECISION] if self.tune_threshold != "none" else []
        return list(dict.fromkeys([*self.metrics, *needed]))

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {name: LABEL_METRICS[name] for name in self.measured()}

    def thresholds(self) -> list[float]:
        """The threshold of each class, as the options state them."""
        return self.threshold if isinstance(self.threshold, list) else [self.threshold] * self.num_labels

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        for name in dict.fromkeys(self.metrics):
            if self.metrics.count(name) > 1:
                yield Problem("metrics", f"{name} is listed twice")
        for option in ("threshold", "pos_weight"):
            numbers = getattr(self, option)
            if isinstance(numbers, list) and len(numbers) != self.num_labels:
                yield Problem(option, f"has {len(numbers)} numbers, but num_labels is {self.num_labels}")
        if isinstance(self.threshold, list) and self.tune_threshold == "shared":
            yield Problem("threshold", "has a number per class, but tune_threshold: shared finds one for all")

    def check_training(self, spec: "Spec") -> Iterator[Problem]:
        fed = (part for part in spec.sets().values() if any(each.config is self for each in part.model.targets))
        if self.tune_threshold != "none" and all(part.data.options.eval is None for part in fed):
            yield Problem("tune_threshold", "finds thresholds in evaluations, so it needs data.eval")

    def effective(self, context: BuildContext) -> dict[str, Any]:
        found = super().effective(context)
        return {name: value for name, value in found.items() if name not in _OF_DECISIONS}


#: Options on which no probability depends.
_OF_DECISIONS = ("metrics", "threshold", "tune_threshold")
