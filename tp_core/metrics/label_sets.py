"""Metrics of multi-label classification. Torch-free.

Values equal those of scikit-learn for label matrices, also for classes without a label, whose F1 and average precision
are 0. Without data they are NaN.
"""

import math
from typing import TYPE_CHECKING, Any

from tp_core.metrics.facts import MetricFacts

if TYPE_CHECKING:
    from numpy.typing import NDArray


def label_f1s(counts: "NDArray[Any]") -> "NDArray[Any]":
    """F1 of each class, (classes,), from the counts (4, classes) of :func:`tp_core.metrics.counts.label_counts`.

    It is 0 for a class that is neither predicted nor a label, and NaN for a class that no sample says anything about.
    """
    import numpy as np

    right, predicted, labels, known = (row.astype(np.float64) for row in counts)
    found = 2 * right / np.maximum(predicted + labels, 1)
    return np.where(known > 0, found, np.nan)


def label_f1_macro(counts: "NDArray[Any]") -> float:
    """The mean F1 of all classes, from counts (4, classes); classes that no sample says anything about are left out."""
    f1s = label_f1s(counts)
    known = f1s[counts[3] > 0]
    return float(known.mean()) if len(known) else math.nan


def label_f1_micro(counts: "NDArray[Any]") -> float:
    """F1 over the summed counts of all classes, from counts (4, classes)."""
    right, predicted, labels, known = (float(row.sum()) for row in counts)
    if not known:
        return math.nan
    return 2 * right / (predicted + labels) if predicted + labels else 0.0


def average_precision(scores: "NDArray[Any]", labels: "NDArray[Any]", counted: "NDArray[Any] | None" = None) -> float:
    """Average precision of one class: the sum of precisions, weighted by the increases of the recall.

    Args:
        scores: (rows,) scores.
        labels: (rows,) bool.
        counted: (rows,) bool, True for the rows that count; None for all rows.

    Returns:
        The average precision; 0 without a positive row, NaN without rows or if a score is NaN.
    """
    import numpy as np

    if counted is not None:
        scores, labels = scores[counted], labels[counted]
    if not len(scores) or np.isnan(scores).any():
        return math.nan
    if not labels.any():
        return 0.0
    right, chosen, _ = cuts(scores, labels)
    recall = np.diff(right, prepend=0) / right[-1]
    return float((recall * right / chosen).sum())


def cuts(scores: "NDArray[Any]", labels: "NDArray[Any]") -> "tuple[NDArray[Any], NDArray[Any], NDArray[Any]]":
    """All ways to choose the rows with the highest scores, from the fewest rows to all; equal scores go together.

    Args:
        scores: (rows,) scores.
        labels: (rows,) bool.

    Returns:
        The number of chosen rows that have the label, the number of chosen rows, and the lowest chosen score; each
        (distinct scores,).
    """
    import numpy as np

    order = np.argsort(-scores, kind="stable")
    scores, labels = scores[order], labels[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    return np.cumsum(labels)[last], last + 1, scores[last]


def average_precision_macro(scores: "NDArray[Any]", labels: "NDArray[Any]", counted: "NDArray[Any]") -> float:
    """The mean :func:`average_precision` of all classes, from (rows, classes) each; classes without rows are left out.

    NaN without data, or if a score is NaN.
    """
    each = [average_precision(*columns) for columns in zip(scores.T, labels.T, counted.T) if columns[2].any()]
    return math.fsum(each) / len(each) if each else math.nan


AVERAGE_PRECISION = "average_precision"

#: The metrics that the option ``metrics`` of multi-label classification accepts.
LABEL_METRICS = {
    "f1_micro": MetricFacts("high", label_f1_micro),
    "f1_macro": MetricFacts("high", label_f1_macro),
    AVERAGE_PRECISION: MetricFacts("high", average_precision_macro),
    "exact_match": MetricFacts("high"),
    "accuracy": MetricFacts("high"),
}
