"""A target for test projects whose loss is not finite at one step."""

from __future__ import annotations

import math
import os
from typing import Any

from pydantic import Field

from tp_core.options.context import BuildContext
from tp_core.options.target import TargetConfig


class Config(TargetConfig):
    """The mean square of the states, and NaN at one step of one process."""

    step: int = Field(gt=0)
    rank: int = 0
    gradient: bool = Field(False, description="the gradient is NaN, and the loss is not")

    def build(self, context: BuildContext) -> Any:
        import torch
        from torch import Tensor

        from tp_core.interfaces import Batch, Features, Target, TargetOutput

        class NotFinite(Target):
            def __init__(self, config: Config) -> None:
                super().__init__()
                self.config, self.calls = config, 0
                self.here = int(os.environ.get("RANK", 0)) == config.rank

            def denominator(self, batch: Batch) -> Tensor:
                return torch.tensor(float(batch.size))

            def forward(self, features: Features, batch: Batch) -> TargetOutput:
                self.calls += self.training
                loss = features.sequence.states.square().mean() * batch.size
                if self.here and self.training and self.calls == self.config.step:
                    # The derivative of the root at 0 is infinite, and 0 times infinity is NaN.
                    loss = loss + (loss * 0).sqrt() if self.config.gradient else loss * math.nan
                return TargetOutput(loss, self.denominator(batch))

        return NotFinite(self)
