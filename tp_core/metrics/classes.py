"""Metrics of classification: precision, recall, F1, Matthews correlation, area under the ROC curve. Torch-free.

All but the area under the curve are computed from counts per class (:func:`tp_core.metrics.counts.class_counts`), an
array (3, classes) with the numbers of correct predictions, of predictions and of labels. Values equal those of
scikit-learn, also where a denominator is zero. Without data they are NaN.
"""

import math
from typing import TYPE_CHECKING, Any

from tp_core.metrics.facts import MetricFacts
from tp_core.metrics.ranks import average_ranks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def f1(counts: "NDArray[Any]") -> float:
    """F1 of class 1 of two classes; 0 if the class is neither predicted nor a label."""
    right, predicted, labels = (float(each[1]) for each in counts)
    if not counts[2].sum():
        return math.nan
    return 2 * right / (predicted + labels) if predicted + labels else 0.0


def precision_each(counts: "NDArray[Any]") -> "NDArray[np.float64]":
    """The share of correct ones among the predictions of each class, (classes,); 0 for a class without predictions."""
    return _shares(counts[0], counts[1])


def recall_each(counts: "NDArray[Any]") -> "NDArray[np.float64]":
    """The share of correct predictions among the labels of each class, (classes,); 0 for a class without labels."""
    return _shares(counts[0], counts[2])


def f1_each(counts: "NDArray[Any]") -> "NDArray[np.float64]":
    """F1 of each class, (classes,); 0 for a class that is neither predicted nor a label."""
    return _shares(2 * counts[0], counts[1] + counts[2])


def _shares(part: "NDArray[Any]", whole: "NDArray[Any]") -> "NDArray[np.float64]":
    import numpy as np

    return part.astype(np.float64) / np.where(whole > 0, whole, 1)


def occurring(counts: "NDArray[Any]") -> "NDArray[np.bool_]":
    """True for the classes that are predicted or a label at least once, (classes,); macro averages are over these."""
    found: NDArray[np.bool_] = counts[1] + counts[2] > 0
    return found


def mean_over(values: "NDArray[np.float64]", classes: "NDArray[np.bool_]") -> float:
    """The mean of the values of some classes; NaN if there are none."""
    return float(values[classes].mean()) if classes.any() else math.nan


def f1_macro(counts: "NDArray[Any]") -> float:
    """The mean F1 over all classes that are predicted or a label at least once."""
    return mean_over(f1_each(counts), occurring(counts))


def precision_macro(counts: "NDArray[Any]") -> float:
    """The mean precision over all classes that are predicted or a label at least once."""
    return mean_over(precision_each(counts), occurring(counts))


def recall_macro(counts: "NDArray[Any]") -> float:
    """The mean recall over all classes that are predicted or a label at least once."""
    return mean_over(recall_each(counts), occurring(counts))


def balanced_accuracy(counts: "NDArray[Any]") -> float:
    """The mean recall over all classes that are a label at least once (Brodersen et al., 2010)."""
    return mean_over(recall_each(counts), counts[2] > 0)


def f1_weighted(counts: "NDArray[Any]") -> float:
    """The mean F1 of the classes, weighted by their numbers of labels."""
    labels = counts[2].sum()
    return float((f1_each(counts) * counts[2]).sum() / labels) if labels else math.nan


def f1_micro(counts: "NDArray[Any]") -> float:
    """F1 over the summed counts of all classes; equal to the accuracy if each sample has one class."""
    right, predicted, labels = (float(each.sum()) for each in counts)
    return 2 * right / (predicted + labels) if labels else math.nan


def matthews(counts: "NDArray[Any]") -> float:
    """Matthews correlation coefficient of two or more classes (Gorodkin, 2004); 0 if there is only one class.

    All steps but the last use Python's integers, because products of counts exceed the precision of floats.
    """
    right, predicted, labels = ([int(count) for count in row] for row in counts)
    rows = sum(labels)
    if not rows:
        return math.nan
    shared = sum(right) * rows - sum(p * t for p, t in zip(predicted, labels))
    spread = rows**2 - sum(p * p for p in predicted), rows**2 - sum(t * t for t in labels)
    # Separate roots, because the product of both values may exceed the range of floats.
    return shared / (math.sqrt(spread[0]) * math.sqrt(spread[1])) if all(spread) else 0.0


def auc(scores: "NDArray[Any]", labels: "NDArray[Any]", counted: "NDArray[Any] | None" = None) -> float:
    """Area under the ROC curve.

    It is the share of pairs in which the sample of class 1 has a higher score than the sample of class 0. A pair with
    equal scores counts one half.

    Args:
        scores: (rows,) scores of class 1.
        labels: (rows,) 0 or 1.
        counted: (rows,) bool, True for the rows that count; None for all rows.

    Returns:
        The area; NaN if one of the classes is missing or a score is NaN.
    """
    import numpy as np

    if counted is not None:
        scores, labels = scores[counted], labels[counted]
    positive = labels == 1
    high, low = int(positive.sum()), int((~positive).sum())
    if not high or not low or np.isnan(scores).any():
        return math.nan
    above = float(average_ranks(scores)[positive].sum()) - high * (high + 1) / 2
    return above / (high * low)


F1 = MetricFacts("high", f1)
F1_MACRO = MetricFacts("high", f1_macro)
F1_MICRO = MetricFacts("high", f1_micro)
MATTHEWS = MetricFacts("high", matthews)
AUC = MetricFacts("high", auc)

#: The metrics that a classifier's option ``metrics`` accepts.
CLASS_METRICS = {
    "accuracy": MetricFacts("high"),
    "top_2": MetricFacts("high"),
    "top_3": MetricFacts("high"),
    "top_5": MetricFacts("high"),
    "top_10": MetricFacts("high"),
    "balanced_accuracy": MetricFacts("high", balanced_accuracy),
    "precision_macro": MetricFacts("high", precision_macro),
    "recall_macro": MetricFacts("high", recall_macro),
    "f1": F1,
    "f1_macro": F1_MACRO,
    "f1_micro": F1_MICRO,
    "f1_weighted": MetricFacts("high", f1_weighted),
    "matthews": MATTHEWS,
    "auc": AUC,
}

#: Metrics that are only defined for two classes; class 1 is the positive class.
BINARY = ("f1", "auc")

#: Metric → k: the share of samples whose label is among the k classes with the largest logits.
TOP_K = {name: int(name.removeprefix("top_")) for name in CLASS_METRICS if name.startswith("top_")}
