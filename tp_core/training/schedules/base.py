"""Base of the schedules: a warm-up followed by a curve. Torch-free."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod


def fraction_steps(fraction: float, total_steps: int) -> int:
    """A fraction of the steps as an integer, rounded up; 0.07 of 100 is 7 despite floating-point errors."""
    return math.ceil(round(fraction * total_steps, 6))


def warmup_steps(warmup: float, total_steps: int) -> int:
    """Steps of the warm-up: a fraction of the total if below 1, else a number of steps.

    A fraction never covers the whole run; otherwise a run of one step would have the learning rate 0.
    """
    if warmup >= 1:
        return math.ceil(warmup)
    return min(fraction_steps(warmup, total_steps), total_steps - 1)


class Schedule(ABC):
    """The factor of the peak learning rate for each update.

    Attributes:
        total_steps: number of updates of the run.
        warmup: number of updates of the linear warm-up.
        start: factor of the first update of the warm-up.
    """

    def __init__(self, warmup: int, total_steps: int, start: float = 0.0) -> None:
        self.warmup, self.total_steps, self.start = warmup, total_steps, start

    def factor(self, step: float) -> float:
        """The factor for update number ``step``, counted from 0; constant from ``total_steps`` on.

        Fractional steps are interpolated along the schedule's curve.
        """
        step = min(max(step, 0), self.total_steps)
        if step < self.warmup:
            return self.start + (1.0 - self.start) * step / self.warmup
        return self.after_warmup(step)

    def progress(self, step: float) -> float:
        """The finished share of the run after the warm-up, from 0 to 1."""
        return (step - self.warmup) / max(1, self.total_steps - self.warmup)

    @abstractmethod
    def after_warmup(self, step: float) -> float:
        """The factor for a step in ``[warmup, total_steps]``."""
