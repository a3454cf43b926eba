"""The hook ``pgd``: adversarial training with projected gradient descent."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tp_core.hookspecs import hookimpl
from tp_core.training.hooks.moves import Weights, along_gradient, check_moves, moved, moved_weights
from tp_core.training.hooks.options import PgdConfig
from tp_core.training.strategies.base import Strategy

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec
    from tp_core.training.trainer import Trainer


class Pgd:
    """Repeats the passes of each step with weights w of embedding modules moved to where the loss is high.

    Madry et al. (2018): the move begins with r = 0 and takes K steps r ← Π(r + α g(w + r) / ||g(w + r)||₂), where Π
    projects onto the ball ||r||₂ ≤ ε. The gradient of the step becomes g(w) + g(w + r) with the last r; the gradients
    in between are only used for the move. Each g is that of the whole step, over all micro-batches and processes. As is
    usual for texts, the move begins at 0 instead of a random point, and steps have a length instead of signs.
    """

    def __init__(self, config: PgdConfig) -> None:
        self.config = config
        self._groups: list[Weights] = []

    @hookimpl
    def tp_check(self, spec: Spec) -> Iterable[str]:
        return check_moves(spec, "pgd", self.config.parts)

    @hookimpl
    def tp_train_start(self, trainer: Trainer) -> None:
        self._groups = moved_weights(trainer.model, "pgd", self.config.parts)

    @hookimpl
    def tp_further_passes(self, trainer: Trainer) -> Iterable[AbstractContextManager[Any]]:
        climb = _Climb(self.config, trainer.strategy, self._groups)
        return [climb.passes(number) for number in range(self.config.steps)]


class _Climb:
    """The moves of one training step."""

    def __init__(self, config: PgdConfig, strategy: Strategy, groups: list[Weights]) -> None:
        self.config, self.strategy, self.groups = config, strategy, groups
        self.moves: list[list[Tensor]] = []

    @contextlib.contextmanager
    def passes(self, number: int) -> Iterator[None]:
        """The context of the passes after a number of steps, counted from 0; those in between set gradients aside."""
        if number == 0:
            self.moves = [[torch.zeros_like(weight) for weight in weights] for weights in self.groups]
            self._step()
        with moved((w for weights in self.groups for w in weights), (r for moves in self.moves for r in moves)):
            if number == self.config.steps - 1:
                yield
                return
            with self.strategy.gradients_set_aside():
                yield
                self._step()

    @torch.no_grad()
    def _step(self) -> None:
        """Move along the gradient so far, and back onto the ball."""
        for number, weights in enumerate(self.groups):
            steps = along_gradient(self.strategy, weights, self.config.alpha)
            moves = [move + step for move, step in zip(self.moves[number], steps)]
            factor = (self.config.epsilon / self.strategy.norm(moves)).clamp(max=1.0)  # infinite for a move of 0
            self.moves[number] = [move * factor for move in moves]
