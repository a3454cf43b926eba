"""The hook ``gumbel_decay``: lowers the Gumbel temperature of wav2vec 2.0's quantiser step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tp_audio.hooks.gumbel_decay_options import GumbelDecayConfig
from tp_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from tp_core.training.trainer import Trainer


class GumbelDecay:
    """Sets the temperature at the start of training, also after resuming, and after each step."""

    def __init__(self, config: GumbelDecayConfig) -> None:
        self.config = config

    def _set(self, trainer: Trainer, step: int) -> None:
        from tp_audio.targets.quantizer import Temperature

        for module in trainer.model.modules():
            if isinstance(module, Temperature):
                module.value.fill_(max(self.config.end, module.start * self.config.decay**step))

    @hookimpl
    def tp_train_start(self, trainer: Trainer) -> None:
        self._set(trainer, trainer.step)

    @hookimpl
    def tp_step_end(self, trainer: Trainer, step: int) -> None:
        self._set(trainer, step)
