"""A target for test projects with a metric that is worse at each evaluation, and whose name says nothing of it."""

from __future__ import annotations

from typing import Any

from tp_core.metrics import MetricFacts
from tp_core.options.context import BuildContext
from tp_core.options.target import TargetConfig


class Config(TargetConfig):
    """The mean square of the states, and the number of batches seen in training."""

    def measures(self, context: BuildContext) -> dict[str, MetricFacts]:
        return {"kl": MetricFacts("low")}

    def build(self, context: BuildContext) -> Any:
        import torch
        from torch import Tensor

        from tp_core.interfaces import Batch, Features, Target, TargetOutput

        class Growing(Target):
            def __init__(self) -> None:
                super().__init__()
                self.seen = 0

            def denominator(self, batch: Batch) -> Tensor:
                return torch.tensor(float(batch.size))

            def forward(self, features: Features, batch: Batch) -> TargetOutput:
                self.seen += self.training
                loss = features.sequence.states.square().mean() * batch.size
                kl = torch.tensor(float(self.seen)), torch.tensor(1.0)
                if not self.training:
                    kl = kl[0] * batch.size, self.denominator(batch)
                return TargetOutput(loss, self.denominator(batch), {"kl": kl})

        return Growing()
