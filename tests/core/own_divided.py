"""A feed-forward layer as a plugin would write it, which processes divide (tensor parallelism)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from tp_core import FeedForwardConfig
from tp_core.interfaces import FeedForward, Share
from tp_core.options.context import BuildContext


class Config(FeedForwardConfig):
    """Two linear layers around a ReLU, with a gain of each inner value."""

    implementation: ClassVar[str] = "own_divided:Gained"


class Gained(FeedForward):
    share: Share | None = None

    def __init__(self, config: Any, context: BuildContext) -> None:
        super().__init__()
        self.inner = nn.Linear(context.hidden_size, 2 * context.hidden_size)
        self.output = nn.Linear(2 * context.hidden_size, context.hidden_size)
        self.gain = nn.Parameter(torch.empty(2 * context.hidden_size))

    def reset_parameters(self) -> None:
        nn.init.uniform_(self.gain, 0.5, 1.5)

    def divide(self, share: Share) -> dict[str, str]:
        share.of(self.inner.out_features, "inner values")
        self.share = share
        return {"inner": "columns", "output": "rows"}

    def forward(self, states: Tensor) -> Tensor:
        gain = self.gain if self.share is None else self.share.cut(self.gain, 0)
        found: Tensor = self.output(self.inner(states).relu() * gain)
        return found
