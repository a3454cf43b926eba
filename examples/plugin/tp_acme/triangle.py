"""The schedule ``acme.triangle``."""

from __future__ import annotations

from tp_acme.triangle_options import TriangleConfig
from tp_core import Schedule


class Triangle(Schedule):
    """A cyclic schedule that starts at the peak after the warm-up."""

    def __init__(self, config: TriangleConfig, warmup: int, total_steps: int) -> None:
        super().__init__(warmup, total_steps)
        self.cycles, self.low = config.cycles, config.low

    def after_warmup(self, step: float) -> float:
        place = (self.progress(step) * self.cycles) % 1.0
        return self.low + (1.0 - self.low) * abs(1.0 - 2.0 * place)
