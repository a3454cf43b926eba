"""The best evaluation so far, and whether to go on."""

from __future__ import annotations

import math
from typing import Any

from tp_core.errors import TPError
from tp_core.suggest import did_you_mean
from tp_core.training.config import EarlyStopping


class Best:
    """Watches one evaluation metric.

    Attributes:
        step: step of the best evaluation, or None.
    """

    def __init__(self, options: EarlyStopping | None) -> None:
        self.options = options
        self.value = math.inf
        self.step: int | None = None
        self.waited = 0

    def improved(self, metrics: dict[str, float], step: int) -> bool:
        """Take in an evaluation; whether it is the best one yet.

        Raises:
            TPError: the evaluation has no such metric.
        """
        if self.options is None:
            return False
        if self.options.metric not in metrics:
            near = did_you_mean(self.options.metric, metrics) or f"the evaluation gives {', '.join(metrics)}"
            raise TPError(f"train.early_stopping.metric: there is no metric '{self.options.metric}'; {near}")
        value = metrics[self.options.metric]
        value = value if self.options.minimise() else -value
        if value < self.value - self.options.min_delta:
            self.value, self.step, self.waited = value, step, 0
            return True
        self.waited += 1
        return False

    def exhausted(self) -> bool:
        return self.options is not None and self.waited >= self.options.patience

    def describe(self) -> str:
        assert self.options is not None
        value = self.value if self.options.minimise() else -self.value
        return (
            f"{self.options.metric} has not improved for {self.waited} evaluations; "
            f"the best was {value:.4f} at step {self.step}"
        )

    def state(self) -> dict[str, Any]:
        return {"value": self.value, "step": self.step, "waited": self.waited}

    def load(self, state: dict[str, Any]) -> None:
        self.value, self.step, self.waited = state["value"], state["step"], state["waited"]
