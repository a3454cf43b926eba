"""A target for test projects with a torch batch norm, whose statistics each process takes of its own share."""

from __future__ import annotations

from typing import Any

from tp_core.options.context import BuildContext
from tp_core.options.target import TargetConfig


class Config(TargetConfig):
    """The mean square of the first states, behind a batch norm."""

    def build(self, context: BuildContext) -> Any:
        import torch
        from torch import Tensor, nn

        from tp_core.interfaces import Batch, Features, Target, TargetOutput

        class Normal(Target):
            def __init__(self) -> None:
                super().__init__()
                self.norm = nn.BatchNorm1d(context.hidden_size)

            def denominator(self, batch: Batch) -> Tensor:
                return torch.tensor(float(batch.size))

            def forward(self, features: Features, batch: Batch) -> TargetOutput:
                states = self.norm(features.sequence.states[:, 0]) * torch.arange(1, context.hidden_size + 1)
                return TargetOutput((states - 1).square().mean(dim=1).sum(), self.denominator(batch))

        return Normal()
