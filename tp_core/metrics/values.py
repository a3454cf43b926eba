"""Metrics of predicted numbers. Torch-free.

A target predicts one or several numbers for each sample. Errors are sums that add up; correlations and R² need all
rows. The metric of several outputs is the mean over the outputs, as in scikit-learn (``uniform_average``).
"""

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from tp_core.metrics.correlation import pearson, spearman
from tp_core.metrics.facts import MetricFacts, ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Computes a number from predictions, labels and the mask of the rows that count, each (rows,).
RowMetric = Callable[["NDArray[Any]", "NDArray[Any]", "NDArray[Any]"], float]


def r2(predicted: "NDArray[Any]", wanted: "NDArray[Any]", counted: "NDArray[Any] | None" = None) -> float:
    """Coefficient of determination: 1 - squared errors / squared differences of the labels from their mean.

    Args:
        predicted: (rows,) predictions.
        wanted: (rows,) labels.
        counted: (rows,) bool, True for the rows that count; None for all rows.

    Returns:
        The coefficient. If all labels are equal, it is 1 for exact predictions, else 0, as in scikit-learn. NaN if
        there are fewer than two rows, or a value is not finite.
    """
    import numpy as np

    pair = np.stack([predicted, wanted]).astype(np.float64)
    if counted is not None:
        pair = pair[:, counted]
    if pair.shape[1] < 2 or not np.isfinite(pair).all():
        return math.nan
    predicted, wanted = pair
    missed = float(((wanted - predicted) ** 2).sum())
    spread = float(((wanted - wanted.mean()) ** 2).sum()) if (wanted != wanted[0]).any() else 0.0
    if not spread:
        return 0.0 if missed else 1.0
    return 1 - missed / spread


def mean_ratio(sums: "NDArray[Any]", counts: "NDArray[Any]") -> float:
    """The mean over the outputs of sum / count, both (outputs,); NaN if an output has no label."""
    return math.fsum(ratio(total, count) for total, count in zip(sums, counts)) / len(sums)


def mean_of_outputs(
    metric: RowMetric, predicted: "NDArray[Any]", wanted: "NDArray[Any]", counted: "NDArray[Any]"
) -> float:
    """The mean over the outputs of a metric, from (rows, outputs) each; NaN if it is NaN for an output."""
    each = [metric(*columns) for columns in zip(predicted.T, wanted.T, counted.T)]
    return math.fsum(each) / len(each)


#: Metric of one output → its better direction and its function. Others than those of :data:`VALUE_ERRORS` get rows.
VALUE_METRICS: dict[str, MetricFacts] = {
    "pearson": MetricFacts("high", pearson),
    "spearman": MetricFacts("high", spearman),
    "mse": MetricFacts("low"),
    "mae": MetricFacts("low"),
    "r2": MetricFacts("high", r2),
}

#: Metrics whose state is a sum and a count.
VALUE_ERRORS = ("mse", "mae")


def value_facts(name: str, outputs: int) -> dict[str, MetricFacts]:
    """The facts of a metric of :data:`VALUE_METRICS`, by name.

    Args:
        name: name of the metric.
        outputs: number of outputs; with several, ``name`` is the mean, and ``name_0`` is that of the first output.
    """
    facts = VALUE_METRICS[name]
    whole = mean_ratio if name in VALUE_ERRORS else partial(mean_of_outputs, facts.compute)
    each = {f"{name}_{number}": facts for number in range(outputs)} if outputs > 1 else {}
    return {name: MetricFacts(facts.better, whole), **each}
