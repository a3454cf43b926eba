"""The samples of each step of a run whose batch size may change between steps. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple


class _Stretch(NamedTuple):
    """Consecutive steps with the same batch size.

    Attributes:
        step: number of the first step.
        sample: number of the first sample of the first step.
        size: samples per step.
    """

    step: int
    sample: int
    size: int


class BatchSizes:
    """The batch sizes of a run by step. Samples are counted from the start of training.

    Args:
        changes: pairs (first step, samples per step from there on), in order; the first pair is for step 0.
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
        """The changes from which the object was made."""
        return [(stretch.step, stretch.size) for stretch in self._stretches]

    @property
    def first(self) -> int:
        """The batch size at the start of the run."""
        return self._stretches[0].size

    @property
    def last(self) -> int:
        """The present batch size of the run."""
        return self._stretches[-1].size

    def before(self, step: int) -> int:
        """Number of samples in all steps before ``step``, which is the number of its first sample."""
        own = next(stretch for stretch in reversed(self._stretches) if stretch.step <= step)
        return own.sample + (step - own.step) * own.size

    def steps_for(self, samples: float) -> int:
        """Number of steps that process this many samples; at least the number of steps before the last change."""
        own = self._stretches[-1]
        return own.step + max(0, math.ceil((samples - own.sample) / own.size))

    def at_sample(self, sample: int) -> tuple[int, int]:
        """The batch size at a sample, and the number of a sample at which a batch of this size begins."""
        own = next(stretch for stretch in reversed(self._stretches) if stretch.sample <= sample)
        return own.size, own.sample

    def changed(self, step: int, size: int) -> BatchSizes:
        """A copy with another batch size from ``step`` on."""
        before = [change for change in self.changes if change[0] < step or not change[0]]
        if before[-1][1] == size:
            return BatchSizes(before)
        return BatchSizes([*before, (step, size)] if step else [(0, size)])

    def renumbered(self, number: Callable[[int], int]) -> BatchSizes:
        """A copy with other step numbers, such as the steps of one of several data sets."""
        return BatchSizes([(number(step), size) for step, size in self.changes])
