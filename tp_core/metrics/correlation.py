"""Correlation of predictions with labels. Torch-free."""

import math
from typing import TYPE_CHECKING, Any

from tp_core.metrics.facts import MetricFacts
from tp_core.metrics.ranks import average_ranks

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pearson(predicted: "NDArray[Any]", wanted: "NDArray[Any]", counted: "NDArray[Any] | None" = None) -> float:
    """Pearson correlation coefficient.

    The means are subtracted first. The formula with sums of squares would lose all precision for values that vary
    little.

    Args:
        predicted: (rows,) predictions.
        wanted: (rows,) labels.
        counted: (rows,) bool, True for the rows that count; None for all rows.

    Returns:
        The coefficient; NaN if there are fewer than two rows, either side is constant, or a value is not finite.
    """
    import numpy as np

    pair = np.stack([predicted, wanted]).astype(np.float64)
    if counted is not None:
        pair = pair[:, counted]
    if pair.shape[1] < 2 or not np.isfinite(pair).all() or (pair == pair[:, :1]).all(axis=1).any():
        return math.nan
    # Scaling the largest difference to one keeps squares from overflow and underflow.
    apart = pair - pair.mean(axis=1, keepdims=True)
    apart /= np.abs(apart).max(axis=1, keepdims=True)
    one, other = apart / np.sqrt((apart * apart).sum(axis=1, keepdims=True))
    return min(1.0, max(-1.0, float((one * other).sum())))


def spearman(predicted: "NDArray[Any]", wanted: "NDArray[Any]", counted: "NDArray[Any] | None" = None) -> float:
    """Spearman rank correlation: :func:`pearson` of the ranks, where equal values share their mean rank."""
    import numpy as np

    if counted is not None:
        predicted, wanted = predicted[counted], wanted[counted]
    if np.isnan(predicted).any() or np.isnan(wanted).any():
        return math.nan
    return pearson(average_ranks(predicted), average_ranks(wanted))


PEARSON = MetricFacts("high", pearson)
SPEARMAN = MetricFacts("high", spearman)
