"""Modules for test projects: a target that is not finite at one step of the run, and a hook that ends the run once."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from tp_core.hookspecs import hookimpl
from tp_core.options.context import BuildContext
from tp_core.options.hooks import HooksConfig
from tp_core.options.target import TargetConfig


class Config(TargetConfig):
    """The mean square of the states, and NaN at the step that the hook counts to."""

    step: int = Field(gt=0)

    def build(self, context: BuildContext) -> Any:
        import torch
        from torch import Tensor

        from tp_core.interfaces import Batch, Features, Target, TargetOutput

        class NotFinite(Target):
            def __init__(self, config: Config) -> None:
                super().__init__()
                self.config, self.step = config, 1

            def denominator(self, batch: Batch) -> Tensor:
                return torch.tensor(float(batch.size))

            def forward(self, features: Features, batch: Batch) -> TargetOutput:
                loss = features.sequence.states[:, 0].square().mean(dim=-1).sum()
                bad = self.training and self.step == self.config.step
                return TargetOutput(loss * math.nan if bad else loss, self.denominator(batch))

        return NotFinite(self)


class Interruption(HooksConfig):
    """Tells the target which step is next; behind a step, asks the run to end, if there is a file ``stop``."""

    observes: ClassVar[bool] = True

    step: int = Field(gt=0)

    def build(self) -> object:
        return _Interruption(self.step)


class _Interruption:
    def __init__(self, step: int) -> None:
        self.step = step

    def tell(self, trainer: Any, step: int) -> None:
        for target in trainer.model.named_targets().values():
            if isinstance(getattr(target, "config", None), Config):
                target.step = step

    @hookimpl
    def tp_train_start(self, trainer: Any) -> None:
        self.tell(trainer, trainer.step + 1)

    @hookimpl
    def tp_step_end(self, trainer: Any, step: int) -> None:
        self.tell(trainer, step + 1)
        if step == self.step and trainer.strategy.rank == 0 and Path("stop").exists():
            Path("stop").unlink()
            os.kill(os.getpid(), signal.SIGTERM)
