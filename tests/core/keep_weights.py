"""A hook for test projects: every process keeps the weights that it ends with, in ``rank-N.safetensors``."""

from __future__ import annotations

from typing import Any, ClassVar

from safetensors.torch import save_file

from tp_core.hookspecs import hookimpl
from tp_core.options.hooks import HooksConfig


class Config(HooksConfig):
    """Keep the final weights of every process in the run's folder."""

    observes: ClassVar[bool] = True

    def build(self) -> object:
        return Keep()


class Keep:
    @hookimpl
    def tp_train_end(self, trainer: Any) -> None:
        weights = {name: value.clone() for name, value in trainer.model.weights().items()}
        save_file(weights, str(trainer.run / f"rank-{trainer.strategy.rank}.safetensors"))
