"""Metrics of classification: F1, Matthews correlation, area under the ROC curve. Torch-free.

F1 and Matthews correlation are computed from counts per class (:func:`tp_core.metrics.counts.class_counts`), an array
(3, classes) with the numbers of correct predictions, of predictions and of labels. Values equal those of scikit-learn,
also where a denominator is zero. Without data they are NaN.
"""

import math
from typing import TYPE_CHECKING, Any

from tp_core.metrics.facts import MetricFacts
from tp_core.metrics.ranks import average_ranks

if TYPE_CHECKING:
    from numpy.typing import NDArray


def f1(counts: "NDArray[Any]") -> float:
    """F1 of class 1 of two classes; 0 if the class is neither predicted nor a label."""
    right, predicted, labels = (float(each[1]) for each in counts)
    if not counts[2].sum():
        return math.nan
    return 2 * right / (predicted + labels) if predicted + labels else 0.0


def f1_macro(counts: "NDArray[Any]") -> float:
    """The mean F1 over all classes that are predicted or a label at least once."""
    found = counts[1] + counts[2] > 0
    right, predicted, labels = counts[:, found]
    return float((2 * right / (predicted + labels)).mean()) if found.any() else math.nan


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
    "f1": F1,
    "f1_macro": F1_MACRO,
    "f1_micro": F1_MICRO,
    "matthews": MATTHEWS,
    "auc": AUC,
}

#: Metrics that are only defined for two classes; class 1 is the positive class.
BINARY = ("f1", "auc")
