"""Early stopping: tracks the best evaluation."""

from __future__ import annotations

import math
from typing import Any, Literal

from tp_core.errors import TPError
from tp_core.spec.sections.train import EarlyStopping
from tp_core.suggest import did_you_mean


class EarlyStopper:
    """Watches one evaluation metric. A non-finite value never counts as an improvement.

    Args:
        mode: ``min`` if low values are better, ``max`` if high values are better.

    Attributes:
        value: value of the best evaluation; NaN if there is none.
        step: step of the best evaluation, or None.
        waited: number of evaluations since then.
    """

    def __init__(self, options: EarlyStopping | None, mode: Literal["min", "max"] = "min") -> None:
        self.options, self.mode = options, mode
        self.value = math.nan
        self.step: int | None = None
        self.waited = 0

    def improved(self, metrics: dict[str, float], step: int) -> bool:
        """Record an evaluation; True if it is the best so far.

        Raises:
            TPError: the evaluation has no such metric.
        """
        if self.options is None:
            return False
        name = self.options.metric
        if name not in metrics:
            near = did_you_mean(name, metrics)
            message = f"the evaluation gave no '{name}', only {', '.join(metrics)}" + (f"; {near}" if near else "")
            raise TPError(f"train.early_stopping.metric: {message}")
        value = metrics[name]
        if self._better(value):
            self.value, self.step, self.waited = value, step, 0
            return True
        self.waited += 1
        return False

    def note(self, metrics: dict[str, float]) -> str:
        """A message for a non-finite value of the evaluation; empty for any other value."""
        if self.options is None or math.isfinite(metrics[self.options.metric]):
            return ""
        return f"{self.options.metric} is {metrics[self.options.metric]}, which early stopping counts as no improvement"

    def _better(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        if self.step is None:
            return True
        gain = self.value - value if self.mode == "min" else value - self.value
        return gain > self.options.min_delta if self.options is not None else False

    def exhausted(self) -> bool:
        return self.options is not None and self.waited >= self.options.patience

    def describe(self) -> str:
        assert self.options is not None
        if self.step is None:
            return f"{self.options.metric} has had no value in {self.waited} evaluations"
        return (
            f"{self.options.metric} has not improved for {self.waited} evaluations; "
            f"the best was {self.value:.4f} at step {self.step}"
        )

    def state(self) -> dict[str, Any]:
        return {"value": self.value, "step": self.step, "waited": self.waited}

    def load(self, state: dict[str, Any]) -> None:
        self.value, self.step, self.waited = state["value"], state["step"], state["waited"]
