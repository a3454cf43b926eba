"""Hooks for test projects: a process stumbles at one event of one step."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
from typing import Any, ClassVar, Literal

from pydantic import Field

from tp_core.hookspecs import hookimpl
from tp_core.options.hooks import HooksConfig


class Config(HooksConfig):
    """Raise an error, lose a worker, fill the disk of the metrics, or spoil a gradient, on one process."""

    observes: ClassVar[bool] = True
    event: str = Field("step_end", description="the hook, without tp_; checkpoint_load and parameter_groups do nothing")
    step: int = 0
    rank: int = 0
    how: Literal["error", "lost worker", "nan", "full disk"] = "error"
    also_when_told: bool = False

    def build(self) -> object:
        return Stumbling(self)


class Stumbling:
    def __init__(self, config: Config) -> None:
        self.config = config
        self.mine = int(os.environ.get("RANK", 0)) == config.rank

    def at(self, event: str, trainer: Any) -> None:
        if not self.mine or self.config.event != event or self.config.step != trainer.step:
            return
        if self.config.how == "nan":
            self.spoil_next_gradient(trainer.model)
        elif self.config.how == "lost worker":
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)  # type: ignore[arg-type]
        elif self.config.how == "full disk":
            trainer.metrics.path.rename(trainer.run / "metrics.before")
            trainer.metrics.path.symlink_to("/dev/full")
        else:
            raise RuntimeError(f"stumbled at {event}")

    def spoil_next_gradient(self, model: Any) -> None:
        parameter = next(iter(model.parameters()))

        def spoil(_: Any) -> None:
            parameter.grad.fill_(math.nan)
            handle.remove()

        handle = parameter.register_post_accumulate_grad_hook(spoil)

    @hookimpl
    def tp_model_built(self, model: Any, spec: Any) -> None:
        if self.mine and self.config.event == "model_built":
            raise RuntimeError("stumbled at model_built")

    @hookimpl
    def tp_train_start(self, trainer: Any) -> None:
        self.at("train_start", trainer)

    @hookimpl
    def tp_step_end(self, trainer: Any, step: int) -> None:
        self.at("step_end", trainer)

    @hookimpl
    def tp_evaluation_end(self, trainer: Any, step: int, metrics: dict[str, float]) -> None:
        self.at("evaluation_end", trainer)

    @hookimpl
    def tp_checkpoint_save(self, trainer: Any, state: dict[str, Any]) -> None:
        self.at("checkpoint_save", trainer)

    @hookimpl
    def tp_train_end(self, trainer: Any) -> None:
        self.at("train_end", trainer)

    @hookimpl
    def tp_run_failed(self, trainer: Any, error: BaseException) -> None:
        if self.config.also_when_told:
            raise KeyError("lost the thread")
