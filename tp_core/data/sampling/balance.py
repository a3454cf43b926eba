"""Draws of instances with balanced classes, as a pure function of (seed, epoch)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tp_core.data.sampling.order import BALANCE

#: Number of random integers per value of a Philox counter.
_PER_COUNT = 4


class BalancedDraws:
    """The instances of each epoch, drawn so that rare classes are more frequent than in the data.

    The share of a class in each epoch is proportional to ``instances ** (1 - balance)``. Its number of samples per
    epoch is rounded, so that all numbers add up to the number of instances.

    Each class has an endless order of its own: all of its instances in random order, then again in another order, and
    so on. An epoch continues where the last one stopped. So no instance of a class is drawn again before all others
    were drawn, also if it takes several epochs to draw all.

    Args:
        classes: (instances,) class numbers.
        balance: 0 for the shares of the data, 1 for equal shares of all classes that occur.
    """

    def __init__(self, seed: int, classes: NDArray[np.int64], balance: float) -> None:
        self.seed = seed
        self.numbers, counts = np.unique(classes, return_counts=True)
        by_class = np.argsort(classes, kind="stable")
        self.members = np.split(by_class, np.cumsum(counts)[:-1])
        self.quotas = quotas(counts, balance)

    def __call__(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The draws of an epoch, class by class.

        Returns:
            Indices (instances,), and for each of them how often this instance was drawn before, (instances,).
        """
        parts = [self._of_class(place, epoch) for place in range(len(self.members))]
        indices, passes = (np.concatenate(each) for each in zip(*parts))
        return indices, passes

    def _of_class(self, place: int, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        members, quota = self.members[place], int(self.quotas[place])
        size = len(members)
        first, end = epoch * quota, (epoch + 1) * quota
        begin, stop = first // size, -(-end // size)  # passes over the class that the epoch touches
        keys = self._keys(int(self.numbers[place]), begin * size, stop * size)
        order = members[np.argsort(keys.reshape(-1, size), axis=1, kind="stable")].ravel()
        passes = np.repeat(np.arange(begin, stop), size)
        own = slice(first - begin * size, end - begin * size)
        return order[own], passes[own]

    def _keys(self, number: int, first: int, end: int) -> NDArray[np.uint64]:
        """Elements ``first`` to ``end`` of the class's endless sequence of random integers."""
        block = first // _PER_COUNT
        # The first word of the counter counts the integers, so any part of the sequence can be made alone.
        philox = np.random.Philox(key=[self.seed, BALANCE], counter=[block, 0, number, 0])
        skipped = first - block * _PER_COUNT
        found: NDArray[np.uint64] = philox.random_raw(skipped + end - first)[skipped:]
        return found


def quotas(counts: NDArray[np.int64], balance: float) -> NDArray[np.int64]:
    """Samples of each class per epoch, (classes,); the sum is that of ``counts``.

    Args:
        counts: number of instances of each class, at least 1.
        balance: see :class:`BalancedDraws`.
    """
    total = int(counts.sum())
    weights = counts.astype(np.float64) ** (1 - balance)
    exact = weights / weights.sum() * total
    found: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    # The largest remainders are rounded up; of equal ones, those of the first classes.
    rest = np.argsort(-(exact - found), kind="stable")[: total - int(found.sum())]
    found[rest] += 1
    return found
