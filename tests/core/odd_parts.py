"""A target for test projects with parts that not every batch reaches, or none."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from tp_core.options.context import BuildContext
from tp_core.options.target import TargetConfig


class Config(TargetConfig):
    """The mean square of the first states, through layers of which some are left out."""

    word: int = Field(7, description="the layer 'sometimes' is for texts with this id")

    def build(self, context: BuildContext) -> Any:
        import torch
        from torch import Tensor

        from tp_core.interfaces import Batch, Features, Target, TargetOutput
        from tp_core.modules.layers.linear import Linear

        class Through(torch.autograd.Function):
            """The states as they are; the weight has a part in the graph and no gradient."""

            @staticmethod
            def forward(ctx: Any, states: Tensor, weight: Tensor) -> Tensor:
                return states.clone()

            @staticmethod
            def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
                return gradients[0], None

        class Odd(Target):
            def __init__(self, config: Config) -> None:
                super().__init__()
                self.config, size = config, context.hidden_size
                self.always, self.sometimes, self.never = Linear(size, size), Linear(size, size), Linear(size, size)
                self.hollow = Linear(size, size)

            def denominator(self, batch: Batch) -> Tensor:
                return torch.tensor(float(batch.size))

            def forward(self, features: Features, batch: Batch) -> TargetOutput:
                states = Through.apply(self.always(features.sequence.states[:, 0]), self.hollow.weight)
                chosen = (batch.inputs["input_ids"] == self.config.word).any(dim=1)
                if chosen.any():  # not in every batch, and not on every process
                    states = torch.where(chosen[:, None], self.sometimes(states), states)
                return TargetOutput(states.square().sum(dim=1).add(1).log().sum(), self.denominator(batch))

        return Odd(self)
