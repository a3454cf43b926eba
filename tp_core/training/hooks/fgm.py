"""The hook ``fgm``: adversarial training with the fast gradient method."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from tp_core.hookspecs import hookimpl
from tp_core.training.hooks.moves import Weights, along_gradient, check_moves, moved, moved_weights
from tp_core.training.hooks.options import FgmConfig

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec
    from tp_core.training.strategies.base import Strategy
    from tp_core.training.trainer import Trainer


class Fgm:
    """Repeats the passes of each step with the weights w of embedding modules moved along their gradient g.

    Miyato et al. (2017): the loss of the step becomes L(w) + L(w + r) with r = ε g / ||g||₂. The gradient g is that of
    the whole step, over all micro-batches and processes; r is a constant. As is usual for texts, the weights of a
    module move, not the vectors of each text.
    """

    def __init__(self, config: FgmConfig) -> None:
        self.config = config
        self._groups: list[Weights] = []

    @hookimpl
    def tp_check(self, spec: Spec) -> Iterable[str]:
        return check_moves(spec, "fgm", self.config.parts)

    @hookimpl
    def tp_train_start(self, trainer: Trainer) -> None:
        self._groups = moved_weights(trainer.model, "fgm", self.config.parts)

    @hookimpl
    def tp_further_passes(self, trainer: Trainer) -> Iterable[AbstractContextManager[Any]]:
        return [self._moved(trainer.strategy)]

    @contextlib.contextmanager
    def _moved(self, strategy: Strategy) -> Iterator[None]:
        moves = [move for weights in self._groups for move in along_gradient(strategy, weights, self.config.epsilon)]
        with moved([weight for weights in self._groups for weight in weights], moves):
            yield
