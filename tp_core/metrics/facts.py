"""The declaration of a metric. Torch-free."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from tp_core.errors import TPError


def ratio(total: Any, count: Any) -> float:
    """A sum over its count, NaN for a mean of nothing: what most metrics are."""
    return float(total) / float(count) if count else math.nan


def no_mean(name: str) -> TPError:
    """The error of a metric that is not declared otherwise and is no (sum, count)."""
    return TPError(
        f"the metric '{name}' is no sum and count, two scalars, and measures() of the config that it is of does not "
        "say how it becomes a number: MetricFacts(better, compute)"
    )


@dataclass(frozen=True)
class MetricFacts:
    """A metric as its maker declares it.

    Attributes:
        better: the values that are better; None where neither are, as of a temperature or of a codebook's perplexity.
        compute: a number from the metric's tensors over all data, each a NumPy array: float64 or int64 sums, or joined
            columns (rows, ...) in the order of the data. NaN where the number is not defined.

    Raises:
        TPError: ``better`` is something else.
    """

    better: Literal["low", "high"] | None
    compute: Callable[..., float] = ratio

    def __post_init__(self) -> None:
        if self.better not in ("low", "high", None):
            raise TPError(f"MetricFacts: better is {self.better!r}; expected 'low', 'high', or None for neither")
