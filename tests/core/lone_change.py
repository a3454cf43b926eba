"""A hook for test projects that changes a weight or a buffer on one process only."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import torch
from pydantic import Field

from tp_core.hookspecs import hookimpl
from tp_core.options.hooks import HooksConfig


class Config(HooksConfig):
    """Change one number a little, at one event of one step, on one process."""

    observes: ClassVar[bool] = False
    weight: str
    event: str = Field("step_end", description="step_end, train_start or checkpoint_save")
    step: int = 0
    rank: int = 0

    def build(self) -> object:
        return LoneChange(self)


class LoneChange:
    def __init__(self, config: Config) -> None:
        self.config = config

    @torch.no_grad()
    def at(self, event: str, trainer: Any) -> None:
        config = self.config
        if (event, trainer.step) == (config.event, config.step) and int(os.environ["RANK"]) == config.rank:
            # Less would be lost in the rounding of the next update.
            trainer.model.weights()[config.weight].view(-1)[-1] += 0.001

    @hookimpl
    def tp_step_end(self, trainer: Any, step: int) -> None:
        self.at("step_end", trainer)

    @hookimpl
    def tp_train_start(self, trainer: Any) -> None:
        self.at("train_start", trainer)

    @hookimpl
    def tp_checkpoint_save(self, trainer: Any, state: dict[str, Any]) -> None:
        self.at("checkpoint_save", trainer)
