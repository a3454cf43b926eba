"""The declaration of a metric. Torch-free."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from tp_core.errors import TPError


def ratio(total: Any, count: Any) -> float:
    """The sum divided by the count, which is the default of a metric; NaN if the count is zero."""
    return float(total) / float(count) if count else math.nan


def no_mean(name: str) -> TPError:
    """The error for a metric whose state is not (sum, count) and whose ``compute`` is not declared."""
    return TPError(
        f"the metric '{name}' is no sum and count, two scalars; measures() of its config must say how to compute its "
        "number: MetricFacts(better, compute)"
    )


@dataclass(frozen=True)
class MetricFacts:
    """The declaration of a metric by a target or processor.

    Attributes:
        better: ``low`` or ``high``, the direction in which the metric improves; None if neither is better, as for a
            temperature or the perplexity of a codebook.
        compute: a function that computes the number from the state over all data. Its arguments are NumPy arrays: sums
            in float64 or int64, or the columns (rows, ...) of a ``Joined`` in the order of the data. It returns NaN if
            the number is not defined.

    Raises:
        TPError: ``better`` has another value.
    """

    better: Literal["low", "high"] | None
    compute: Callable[..., float] = ratio

    def __post_init__(self) -> None:
        if self.better not in ("low", "high", None):
            raise TPError(f"MetricFacts: better is {self.better!r}; expected 'low', 'high', or None for neither")
