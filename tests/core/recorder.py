"""Hooks for test projects: every call is written down in ``calls.jsonl``, and the weights where a run failed."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import torch

from tp_core.hookspecs import hookimpl
from tp_core.options.hooks import HooksConfig


class Config(HooksConfig):
    """Write down every hook that is called."""

    observes: ClassVar[bool] = True
    complain: bool = False

    def build(self) -> object:
        return Recorder(self.complain)


class Recorder:
    def __init__(self, complain: bool) -> None:
        self.complain = complain
        self.steps = 0

    def note(self, hook: str, **values: Any) -> None:
        with open("calls.jsonl", "a") as file:
            file.write(json.dumps({"hook": hook, **values}) + "\n")

    @hookimpl
    def tp_check(self, spec: Any) -> list[str]:
        self.note("check", spec=spec.name)
        return ["recorder: this spec will not do"] if self.complain else []

    @hookimpl
    def tp_model_built(self, model: Any, spec: Any) -> None:
        self.note("model_built", model=type(model).__name__, spec=spec.name)

    @hookimpl
    def tp_parameter_groups(self, model: Any, groups: list[dict[str, Any]]) -> None:
        self.note("parameter_groups", model=type(model).__name__, groups=len(groups))

    @hookimpl
    def tp_train_start(self, trainer: Any) -> None:
        self.note("train_start", step=trainer.step)

    @hookimpl
    def tp_step_end(self, trainer: Any, step: int) -> None:
        self.steps += 1
        assert trainer.step == step
        self.note("step_end", step=step, seen=self.steps)

    @hookimpl
    def tp_evaluation_end(self, trainer: Any, step: int, metrics: dict[str, float]) -> None:
        self.note("evaluation_end", step=step, metrics=sorted(metrics))

    @hookimpl
    def tp_checkpoint_save(self, trainer: Any, state: dict[str, Any]) -> None:
        state["recorder"] = self.steps
        self.note("checkpoint_save", step=trainer.step)

    @hookimpl
    def tp_checkpoint_load(self, trainer: Any, state: dict[str, Any]) -> None:
        self.steps = state["recorder"]
        self.note("checkpoint_load", step=trainer.step)

    @hookimpl
    def tp_train_end(self, trainer: Any) -> None:
        self.note("train_end", step=trainer.step, exported=(trainer.run / "model" / "spec.yaml").exists())

    @hookimpl
    def tp_run_failed(self, trainer: Any, error: BaseException) -> None:
        torch.save(trainer.model.weights(), "failed.pt")
        self.note("run_failed", step=trainer.step, error=type(error).__name__)
