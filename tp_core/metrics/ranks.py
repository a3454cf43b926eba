"""Ranks with ties. Torch-free."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def average_ranks(values: "NDArray[Any]") -> "NDArray[np.float64]":
    """The ranks of values (rows,), starting at 1; equal values share the mean of their ranks.

    All ranks are multiples of one half.
    """
    import numpy as np

    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[place]
    return ranks
