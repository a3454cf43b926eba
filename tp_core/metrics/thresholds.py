"""The threshold of scores with the best F1. Torch-free."""

from typing import TYPE_CHECKING, Any

from tp_core.metrics.label_sets import cuts

if TYPE_CHECKING:
    from numpy.typing import NDArray


def best_threshold(scores: "NDArray[Any]", labels: "NDArray[Any]") -> float | None:
    """The threshold whose predictions, all scores from the threshold on, have the highest F1.

    It is halfway between the lowest predicted score and the next lower score (0 below the lowest), so that small
    differences of scores do not matter. Of several with the same F1, it is the highest.

    Args:
        scores: (rows,) probabilities in float32.
        labels: (rows,) bool.

    Returns:
        The threshold, a float32 number; None if no row has the label, or if a score is NaN.
    """
    import numpy as np

    if not labels.any() or np.isnan(scores).any():
        return None
    right, chosen, lowest = cuts(scores, labels)
    best = int(np.argmax(right / (chosen + right[-1])))
    low, below = lowest[best], lowest[best + 1] if best + 1 < len(lowest) else 0.0
    middle = np.float32((low + below) / 2)
    return float(middle if middle > below else low)
