"""Training: the trainer, one step of it, and the bases of what a spec picks for it.

A name is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tp_core.lazy import lazy_import

if TYPE_CHECKING:
    from tp_core.training.loggers.base import LoggedRun as LoggedRun
    from tp_core.training.loggers.base import Logger as Logger
    from tp_core.training.optimizers.base import Optimizer as Optimizer
    from tp_core.training.run import TrainResult as TrainResult
    from tp_core.training.run import train as train
    from tp_core.training.schedules.base import Schedule as Schedule
    from tp_core.training.step import StepResult as StepResult
    from tp_core.training.step import training_step as training_step
    from tp_core.training.strategies.base import Applied as Applied
    from tp_core.training.strategies.base import Strategy as Strategy
    from tp_core.training.trainer import Trainer as Trainer

_PUBLIC = {
    "LoggedRun": "tp_core.training.loggers.base",
    "Logger": "tp_core.training.loggers.base",
    "Optimizer": "tp_core.training.optimizers.base",
    "TrainResult": "tp_core.training.run",
    "train": "tp_core.training.run",
    "Schedule": "tp_core.training.schedules.base",
    "StepResult": "tp_core.training.step",
    "training_step": "tp_core.training.step",
    "Applied": "tp_core.training.strategies.base",
    "Strategy": "tp_core.training.strategies.base",
    "Trainer": "tp_core.training.trainer",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    return lazy_import(__name__, _PUBLIC, name)


def __dir__() -> list[str]:
    return __all__
