"""A target for test projects whose loss is not finite at one step."""

from __future__ import annotations

import math
import os
from typing import Any

from pydantic import Field

from tp_core.config import BuildContext, TargetConfig


class Config(TargetConfig):
    """The mean square of the states, and NaN at one step of one process."""

    step: int = Field(gt=0)
    rank: int = 0

    def build(self, context: BuildContext) -> Any:
        import torch
        from torch import Tensor

        from tp_core.interfaces import Batch, Features, Target, TargetOutput

        class NotFinite(Target):
            def __init__(self, step: int, rank: int) -> None:
                super().__init__()
                self.bad, self.calls = step, 0
                self.here = int(os.environ.get("RANK", 0)) == rank

            def denominator(self, batch: Batch) -> Tensor:
                return torch.tensor(float(batch.size))

            def forward(self, features: Features, batch: Batch) -> TargetOutput:
                self.calls += self.training
                loss = features.sequence.states.square().mean() * batch.size
                if self.here and self.calls == self.bad:
                    loss = loss * math.nan
                return TargetOutput(loss, self.denominator(batch))

        return NotFinite(self.step, self.rank)
