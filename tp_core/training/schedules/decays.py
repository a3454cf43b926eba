"""Schedules with one curve after the warm-up."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING

from tp_core.training.schedules.base import Schedule

if TYPE_CHECKING:
    from tp_core.training.schedules.options import (
        ConstantConfig,
        CosineConfig,
        CosineRestartsConfig,
        InverseSqrtConfig,
        LinearConfig,
        PolynomialConfig,
    )

#: Time scale of the inverse square root if there is no warm-up, as in transformers.
_INVERSE_SQRT_TIMESCALE = 10_000


class Constant(Schedule):
    """Stays at the peak."""

    def __init__(self, config: ConstantConfig, warmup: int, total_steps: int) -> None:
        super().__init__(warmup, total_steps)

    def after_warmup(self, step: float) -> float:
        return 1.0


class InverseSqrt(Schedule):
    """Inverse square root of the step, in units of the warm-up."""

    def __init__(self, config: InverseSqrtConfig, warmup: int, total_steps: int) -> None:
        super().__init__(warmup, total_steps)

    def after_warmup(self, step: float) -> float:
        timescale = self.warmup or _INVERSE_SQRT_TIMESCALE
        return 1.0 / math.sqrt((step - self.warmup + timescale) / timescale)


class Decay(Schedule):
    """Decay from 1 to ``final`` along a curve that falls from 1 to 0 over the progress."""

    def __init__(
        self,
        config: LinearConfig | PolynomialConfig | CosineConfig | CosineRestartsConfig,
        warmup: int,
        total_steps: int,
    ) -> None:
        super().__init__(warmup, total_steps)
        self.final = config.final

    def after_warmup(self, step: float) -> float:
        # If the warm-up is as long as the run, no step is left to decay in: use the end of the decay.
        curve = self.curve(self.progress(step)) if step < self.total_steps else 0.0
        return curve * (1.0 - self.final) + self.final

    @abstractmethod
    def curve(self, progress: float) -> float:
        """The value of the curve; ``progress`` is in [0, 1)."""


class Linear(Decay):
    """Linear decay."""

    def curve(self, progress: float) -> float:
        return 1.0 - progress


class Polynomial(Decay):
    """Polynomial decay: a power of the linear decay."""

    def __init__(self, config: PolynomialConfig, warmup: int, total_steps: int) -> None:
        super().__init__(config, warmup, total_steps)
        self.power = config.power

    def curve(self, progress: float) -> float:
        return float((1.0 - progress) ** self.power)


class Cosine(Decay):
    """Cosine decay over half a period (Loshchilov & Hutter, 2017)."""

    def curve(self, progress: float) -> float:
        return 0.5 * (1.0 + math.cos(math.pi * progress))


class CosineRestarts(Cosine):
    """Cosine decay with ``cycles`` restarts (Loshchilov & Hutter, 2017)."""

    def __init__(self, config: CosineRestartsConfig, warmup: int, total_steps: int) -> None:
        super().__init__(config, warmup, total_steps)
        self.cycles = config.cycles

    def curve(self, progress: float) -> float:
        return super().curve((self.cycles * progress) % 1.0)
