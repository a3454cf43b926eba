"""Schedules with several stages."""

from __future__ import annotations

import math

from tp_core.training.schedules.base import Schedule, fraction_steps
from tp_core.training.schedules.options import TriStageConfig, WarmupStableDecayConfig


class TriStage(Schedule):
    """Warm-up from ``initial``, hold, then exponential decay to ``final``, which is kept."""

    def __init__(self, config: TriStageConfig, warmup: int, total_steps: int) -> None:
        super().__init__(warmup, total_steps, config.initial)
        self.final = config.final
        self.decay_from = warmup + fraction_steps(config.hold, total_steps)
        rest = max(0, total_steps - self.decay_from)
        self.decay_steps = rest if config.decay is None else fraction_steps(config.decay, total_steps)

    def after_warmup(self, step: float) -> float:
        if step < self.decay_from:
            return 1.0
        done = step - self.decay_from
        if done >= self.decay_steps:
            return self.final
        return math.exp(math.log(self.final) * done / self.decay_steps)


class WarmupStableDecay(Schedule):
    """Warm-up from ``final``, constant, then decay to ``final`` over the last steps."""

    def __init__(self, config: WarmupStableDecayConfig, warmup: int, total_steps: int) -> None:
        super().__init__(warmup, total_steps, config.final)
        self.shape, self.final = config.shape, config.final
        self.decay_steps = max(1, fraction_steps(config.decay, total_steps))

    def after_warmup(self, step: float) -> float:
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
