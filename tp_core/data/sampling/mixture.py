"""Several data sets trained in turn: which of them a step's batch comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tp_core.data.routing import Feed
from tp_core.data.sampling.order import TURN, generator
from tp_core.interfaces import Processor, Rows


@dataclass(frozen=True)
class DataSet:
    """Prepared instances with what makes batches of them.

    Attributes:
        name: empty when there is only one set.
        share: how often a batch comes from this set, relative to the others.
        bucket: number of batches whose instances are sorted by length together; None for no order by length.
        length_column: the column of the rows whose cells' lengths are meant.
    """

    name: str
    rows: Rows
    feed: Feed
    share: float = 1.0
    bucket: int | None = None
    length_column: str | None = None

    @property
    def processor(self) -> Processor:
        """The processor that makes samples of the rows."""
        return self.feed.processor


class Turns:
    """For each step, the number of its data set and how many steps that set has had before.

    A pure function of (seed, step): set ``i`` is drawn with probability ``share[i]``, and each set goes on in its own
    order where it last stopped.
    """

    def __init__(self, shares: Sequence[float], steps: int, seed: int) -> None:
        self._single = len(shares) == 1
        if self._single:
            return
        bounds = np.cumsum(shares) / np.sum(shares)
        # One stream of numbers from the first step on: a longer run begins as the shorter one does.
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
        """The steps that a data set, given by its number, has had before ``step``."""
        return step if self._single else int(np.count_nonzero(self._turns[:step] == number))
