"""The samples of each step of a run whose batch size may have changed between two steps. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple


class _Stretch(NamedTuple):
    """Steps in a row with one batch size.

    Attributes:
        step: the first of them.
        sample: number of the first one's first sample.
        size: samples of each.
    """

    step: int
    sample: int
    size: int


class BatchSizes:
    """From which step on a step has how many samples. Samples are counted from the start of training.

    Args:
        changes: (first step, samples of each step from there on), in order; the first at step 0.
    """

    def __init__(self, changes: Iterable[tuple[int, int]]) -> None:
        stretches: list[_Stretch] = []
        for step, size in changes:
            sample = 0
            if stretches:
                last = stretches[-1]
                sample = last.sample + (step - last.step) * last.size
            stretches.append(_Stretch(step, sample, size))
        self._stretches = stretches

    @classmethod
    def constant(cls, size: int) -> BatchSizes:
        return cls([(0, size)])

    @property
    def changes(self) -> list[tuple[int, int]]:
        """The changes that the object was made of."""
        return [(stretch.step, stretch.size) for stretch in self._stretches]

    @property
    def first(self) -> int:
        """The batch size that the run began with."""
        return self._stretches[0].size

    @property
    def last(self) -> int:
        """The batch size that the run has now."""
        return self._stretches[-1].size

    def before(self, step: int) -> int:
        """Samples of all steps before ``step``: the number of its first sample."""
        own = next(stretch for stretch in reversed(self._stretches) if stretch.step <= step)
        return own.sample + (step - own.step) * own.size

    def steps_for(self, samples: float) -> int:
        """The steps that it takes to have seen so many samples; at least those before the last change."""
        own = self._stretches[-1]
        return own.step + max(0, math.ceil((samples - own.sample) / own.size))

    def at_sample(self, sample: int) -> tuple[int, int]:
        """The batch size when the sample is next, and the number of a sample that such a batch begins with."""
        own = next(stretch for stretch in reversed(self._stretches) if stretch.sample <= sample)
        return own.size, own.sample

    def changed(self, step: int, size: int) -> BatchSizes:
        """With another size from ``step`` on."""
        before = [change for change in self.changes if change[0] < step or not change[0]]
        if before[-1][1] == size:
            return BatchSizes(before)
        return BatchSizes([*before, (step, size)] if step else [(0, size)])

    def renumbered(self, number: Callable[[int], int]) -> BatchSizes:
        """The same for steps that are counted otherwise, such as the steps of one of several data sets."""
        return BatchSizes([(number(step), size) for step, size in self.changes])
