"""Mixture of several data sets: the choice of the data set for each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tp_core.data.routing import Feed
from tp_core.data.sampling.balance import BalancedDraws
from tp_core.data.sampling.batch_sizes import BatchSizes
from tp_core.data.sampling.order import TURN, Order, generator
from tp_core.interfaces import Processor, Rows


@dataclass(frozen=True)
class DataSet:
    """Prepared instances with the objects that make batches from them.

    Attributes:
        name: name of the set; empty if there is only one set.
        share: relative frequency of batches from this set.
        bucket: number of batches whose instances are sorted by length together; None to not sort by length.
        length_column: the column whose cell lengths are the lengths of the instances.
        balance: the degree to which classes are balanced (:class:`~tp_core.data.sampling.balance.BalancedDraws`); None
            to draw each instance once per epoch.
        class_column: the column with the class numbers of the instances.
    """

    name: str
    rows: Rows
    feed: Feed
    share: float = 1.0
    bucket: int | None = None
    length_column: str | None = None
    balance: float | None = None
    class_column: str | None = None

    def order(self, seed: int, sizes: BatchSizes) -> Order:
        """The order of the instances in training.

        Args:
            sizes: the batch sizes of the steps with this data set.
        """
        draws = None
        if self.balance is not None and self.class_column is not None:
            draws = BalancedDraws(seed, self.rows.integers(self.class_column), self.balance)
        if self.bucket is None or self.length_column is None:
            return Order(seed, len(self.rows), draws=draws)
        return Order(seed, len(self.rows), sizes, self.bucket, self.rows.lengths(self.length_column), draws)

    @property
    def processor(self) -> Processor:
        """The processor that makes samples from the rows."""
        return self.feed.processor


class SetSchedule:
    """The data set of each step, and the number of earlier steps with this set.

    A pure function of (seed, step): set ``i`` is drawn with probability ``share[i]``. Each set continues in its own
    order where it last stopped.
    """

    def __init__(self, shares: Sequence[float], steps: int, seed: int) -> None:
        self._single = len(shares) == 1
        if self._single:
            return
        bounds = np.cumsum(shares) / np.sum(shares)
        # All steps use one stream of random numbers, so that a longer run begins like a shorter one.
        draws = generator(seed, TURN, 0, 0).random(steps)
        self._turns = np.minimum(np.searchsorted(bounds, draws, side="right"), len(shares) - 1).astype(np.int32)
        self._before = np.empty(steps, dtype=np.int64)
        for number in range(len(shares)):
            own = self._turns == number
            self._before[own] = np.arange(np.count_nonzero(own))

    def at(self, step: int) -> tuple[int, int]:
        """(number of the data set, its own steps before this one)."""
        return (0, step) if self._single else (int(self._turns[step]), int(self._before[step]))

    def before(self, step: int, number: int) -> int:
        """Number of steps before ``step`` that used the data set with the given number."""
        return step if self._single else int(np.count_nonzero(self._turns[:step] == number))
