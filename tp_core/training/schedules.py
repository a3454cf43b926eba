"""Learning-rate schedules as pure functions of the step. Torch-free.

A schedule holds no state: a step's factor depends on nothing but the step, so resuming needs no checkpoint.
Where transformers has a schedule of the same kind, the factors are equal to its: update number ``step`` in a
warm-up of ``w`` steps has the factor ``step / w``, the first update zero.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from tp_core.config import BuildContext
from tp_core.errors import TPError
from tp_core.suggest import did_you_mean
from tp_core.training.config import (
    ConstantConfig,
    CosineConfig,
    CosineRestartsConfig,
    InverseSqrtConfig,
    LinearConfig,
    PolynomialConfig,
    ScheduleConfig,
    TriStageConfig,
    WarmupStableDecayConfig,
)

#: Time scale of the inverse square root when there is no warm-up to take it from, as in transformers.
_INVERSE_SQRT_TIMESCALE = 10_000


def fraction_steps(fraction: float, total_steps: int) -> int:
    """A fraction of the steps as a whole number, rounded up; 0.07 of 100 is 7, whatever floats say."""
    return math.ceil(round(fraction * total_steps, 6))


def warmup_steps(warmup: float, total_steps: int) -> int:
    """Steps of the warm-up: a fraction of the total if below 1, else a number of steps.

    A fraction never takes up the whole run: otherwise a run of one step would have the learning rate 0.
    """
    if warmup >= 1:
        return math.ceil(warmup)
    return min(fraction_steps(warmup, total_steps), total_steps - 1)


class Schedule(ABC):
    """Multiplier of the peak learning rate, by update.

    Attributes:
        total_steps: number of updates of the run.
        warmup: number of updates of the linear warm-up.
        start: factor of the first update of the warm-up.
    """

    def __init__(self, warmup: int, total_steps: int, start: float = 0.0) -> None:
        self.warmup, self.total_steps, self.start = warmup, total_steps, start

    def factor(self, step: float) -> float:
        """The factor of update number ``step``, from 0; from ``total_steps`` on it does not change.

        Between two whole numbers it is on the schedule's curve.
        """
        step = min(max(step, 0), self.total_steps)
        if step < self.warmup:
            return self.start + (1.0 - self.start) * step / self.warmup
        return self._after_warmup(step)

    def _progress(self, step: float) -> float:
        """How much of the run after the warm-up is over, from 0 to 1."""
        return (step - self.warmup) / max(1, self.total_steps - self.warmup)

    @abstractmethod
    def _after_warmup(self, step: float) -> float:
        """The factor of a step in ``[warmup, total_steps]``."""


class _Constant(Schedule):
    def _after_warmup(self, step: float) -> float:
        return 1.0


class _Decay(Schedule):
    """From 1 to ``final`` along a curve that falls from 1 to 0 over the progress."""

    def __init__(self, warmup: int, total_steps: int, final: float) -> None:
        super().__init__(warmup, total_steps)
        self.final = final

    def _after_warmup(self, step: float) -> float:
        # A warm-up as long as the run leaves no step to decay in: what follows is the end of the decay.
        curve = self._curve(self._progress(step)) if step < self.total_steps else 0.0
        return curve * (1.0 - self.final) + self.final

    @abstractmethod
    def _curve(self, progress: float) -> float:
        """``progress`` is in [0, 1)."""


class _Polynomial(_Decay):
    def __init__(self, warmup: int, total_steps: int, final: float, power: float = 1.0) -> None:
        super().__init__(warmup, total_steps, final)
        self.power = power

    def _curve(self, progress: float) -> float:
        return float((1.0 - progress) ** self.power)


class _Cosine(_Decay):
    """Half cosines, ``cycles`` of them (Loshchilov & Hutter, 2017)."""

    def __init__(self, warmup: int, total_steps: int, final: float, cycles: int = 1) -> None:
        super().__init__(warmup, total_steps, final)
        self.cycles = cycles

    def _curve(self, progress: float) -> float:
        return 0.5 * (1.0 + math.cos(math.pi * ((self.cycles * progress) % 1.0)))


class _InverseSqrt(Schedule):
    def _after_warmup(self, step: float) -> float:
        timescale = self.warmup or _INVERSE_SQRT_TIMESCALE
        return 1.0 / math.sqrt((step - self.warmup + timescale) / timescale)


class _TriStage(Schedule):
    """Warm-up from ``initial``, hold, exponential decay to ``final``, which is kept."""

    def __init__(self, warmup: int, total_steps: int, config: TriStageConfig) -> None:
        super().__init__(warmup, total_steps, config.initial)
        self.final = config.final
        self.decay_from = warmup + fraction_steps(config.hold, total_steps)
        rest = max(0, total_steps - self.decay_from)
        self.decay_steps = rest if config.decay is None else fraction_steps(config.decay, total_steps)

    def _after_warmup(self, step: float) -> float:
        if step < self.decay_from:
            return 1.0
        done = step - self.decay_from
        if done >= self.decay_steps:
            return self.final
        return math.exp(math.log(self.final) * done / self.decay_steps)


class _WarmupStableDecay(Schedule):
    """Warm-up from ``final``, constant, and a decay to ``final`` over the last steps."""

    def __init__(self, warmup: int, total_steps: int, config: WarmupStableDecayConfig) -> None:
        super().__init__(warmup, total_steps, config.final)
        self.shape, self.final = config.shape, config.final
        self.decay_steps = max(1, fraction_steps(config.decay, total_steps))

    def _after_warmup(self, step: float) -> float:
        progress = (step - (self.total_steps - self.decay_steps)) / self.decay_steps
        if progress <= 0:
            return 1.0
        if progress >= 1:
            return self.final
        if self.shape == "linear":
            curve = 1.0 - progress
        elif self.shape == "cosine":
            curve = 0.5 * (1.0 + math.cos(math.pi * progress))
        else:
            curve = 1.0 - math.sqrt(progress)
        return curve * (1.0 - self.final) + self.final


def build_schedule(name: str, config: ScheduleConfig, total_steps: int, warmup: int | None = None) -> Schedule:
    """The schedule that a spec names.

    Args:
        name: a key of ``TABLES["schedule"]``, for messages; the config's class decides.
        config: its options.
        total_steps: number of updates of the run, at least 1.
        warmup: number of updates of the warm-up; None for what the config says.

    Raises:
        TPError: when the schedule is not one of the core's, or its stages are longer than the run.
    """
    if total_steps < 1:
        raise TPError(f"schedule {name}: the run has {total_steps} steps; it needs at least 1")
    for problem in config.check(BuildContext()):
        raise TPError(f"schedule {name}: {problem.message}")
    warmup = warmup_steps(config.warmup, total_steps) if warmup is None else warmup
    if isinstance(config, LinearConfig):
        return _Polynomial(warmup, total_steps, config.final)
    if isinstance(config, PolynomialConfig):
        return _Polynomial(warmup, total_steps, config.final, config.power)
    if isinstance(config, CosineConfig):
        return _Cosine(warmup, total_steps, config.final)
    if isinstance(config, CosineRestartsConfig):
        return _Cosine(warmup, total_steps, config.final, config.cycles)
    if isinstance(config, ConstantConfig):
        return _Constant(warmup, total_steps)
    if isinstance(config, InverseSqrtConfig):
        return _InverseSqrt(warmup, total_steps)
    if isinstance(config, TriStageConfig):
        return _TriStage(warmup, total_steps, config)
    if isinstance(config, WarmupStableDecayConfig):
        return _WarmupStableDecay(warmup, total_steps, config)
    from tp_core.training.config import TABLES

    near = did_you_mean(name, TABLES["schedule"])
    raise TPError(f"unknown schedule '{name}'" + (f"; {near}" if near else ""))
