"""Options that classification targets share. Torch-free."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from tp_core.metrics.classes import BINARY, CLASS_METRICS, TOP_K
from tp_core.metrics.facts import MetricFacts
from tp_core.metrics.tables import CONFUSION, PER_CLASS, TableFacts
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import ClassFacts
from tp_core.options.marks import ModelSize, TrainingOnly
from tp_core.options.target import TargetConfig

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec

ClassMetric = Literal[
    "accuracy",
    "top_2",
    "top_3",
    "top_5",
    "top_10",
    "balanced_accuracy",
    "precision_macro",
    "recall_macro",
    "f1",
    "f1_macro",
    "f1_micro",
    "f1_weighted",
    "matthews",
    "auc",
]

#: Maximum number of classes for a confusion matrix, whose size is the square.
MOST_CONFUSED = 2000


class ClassTargetConfig(TargetConfig):
    """Base of targets that classify whole samples."""

    terms: ClassVar[Mapping[str, str]] = {
        "class_weights": "class_weight label_weights label_weight ce_weight",
    }

    num_labels: ModelSize[int] = Field(2, gt=1, description="number of classes")

    label_smoothing: TrainingOnly[float] = Field(0.0, ge=0, lt=1)
    class_weights: TrainingOnly[
        list[Annotated[float, Field(gt=0, allow_inf_nan=False)]] | Literal["balanced"] | None
    ] = Field(
        None,
        description="factors of the losses of the classes, in order; or balanced: all training samples / (classes × "
        "those of the class); default: 1 for each class",
    )
    class_counts: TrainingOnly[list[Annotated[int, Field(gt=0)]] | None] = Field(
        None,
        description="number of training samples of each class, for class_weights: balanced; a run counts them and "
        "stores them in its spec",
    )
    metrics: list[ClassMetric] = Field(
        ["accuracy"],
        min_length=1,
        description="metrics: accuracy; top_K (the label is among the K most probable classes); balanced_accuracy "
        "(mean recall of the classes); precision_macro; recall_macro; f1 (of class 1 of two classes); f1_macro; "
        "f1_micro; f1_weighted (by the number of labels); matthews (correlation coefficient); auc (area under the ROC "
        "curve of two classes, only in evaluations)",
    )

    def published_facts(self) -> Iterable[ClassFacts]:
        yield ClassFacts(self.num_labels)

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {name: CLASS_METRICS[name] for name in self.metrics}

    def tables(self, context: BuildContext) -> Mapping[str, TableFacts]:
        return {"classes": PER_CLASS, **({"confusion": CONFUSION} if self.num_labels <= MOST_CONFUSED else {})}

    def weights(self) -> list[float] | None:
        """The factor of each class's losses; None if all are 1, or if the counts of ``balanced`` are not known yet."""
        if self.class_weights != "balanced":
            return self.class_weights
        if self.class_counts is None:
            return None
        total = sum(self.class_counts)
        return [total / (self.num_labels * count) for count in self.class_counts]

    def check_classes(self) -> Iterator[Problem]:
        """Yield the problems of options that do not fit the number of classes, and of metrics that are listed twice."""
        others = ", ".join(name for name in CLASS_METRICS if name not in (*BINARY, *TOP_K))
        for name in dict.fromkeys(self.metrics):
            if name in BINARY and self.num_labels != 2:
                yield Problem(
                    "metrics", f"{name} is for two classes, but num_labels is {self.num_labels}; use {others}"
                )
            if TOP_K.get(name, 0) >= self.num_labels:
                least = f"expected more than {TOP_K[name]} classes"
                yield Problem("metrics", f"{name} is always 1, because num_labels is {self.num_labels}; {least}")
            if self.metrics.count(name) > 1:
                yield Problem("metrics", f"{name} is listed twice")
        if isinstance(self.class_weights, list) and len(self.class_weights) != self.num_labels:
            found = f"has {len(self.class_weights)} numbers, but num_labels is {self.num_labels}"
            yield Problem("class_weights", f"{found}; expected one for each class, in order")
        if self.class_counts is not None and self.class_weights != "balanced":
            yield Problem("class_counts", "is only used by class_weights: balanced; leave it out")
        elif self.class_counts is not None and len(self.class_counts) != self.num_labels:
            found = f"has {len(self.class_counts)} numbers, but num_labels is {self.num_labels}"
            yield Problem("class_counts", f"{found}; leave it out, and the run counts the samples of each class")

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from self.check_classes()
        yield from super().check(context)

    def check_training(self, spec: "Spec") -> Iterator[Problem]:
        yield from super().check_training(spec)
        if self.class_weights == "balanced":
            yield from self._check_counting(spec)

    def _check_counting(self, spec: "Spec") -> Iterator[Problem]:
        """Yield a problem for each processor that feeds this target without labels that could be counted."""
        from tp_core.spec.context import data_context

        for part in spec.sets().values():
            own = [target for target in part.model.targets if target.config is self]
            processor = part.data.processor
            if own and processor is not None:
                name = own[0].instance_name
                if processor.config.class_column(data_context(part), name) is None:
                    message = f"counts the classes of the training data, and the processor '{processor.name}' has none"
                    yield Problem("class_weights", f"balanced {message}; give a list of numbers")

    def effective(self, context: BuildContext) -> dict[str, Any]:
        found = super().effective(context)
        del found["metrics"]
        return found
