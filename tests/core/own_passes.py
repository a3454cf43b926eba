"""Hooks of further passes, as a plugin would write them: R-Drop, adversarial training (FGM), and averaged weights."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from tp_core import Batch, HooksConfig, Model, ModelOutput, hookimpl


class RDrop:
    """Two passes with dropout of their own give near distributions (Wu et al., 2021)."""

    def __init__(self, target: str, weight: float) -> None:
        self.target, self.weight = target, weight

    @hookimpl
    def tp_forward(self, model: Model, batch: Batch, denominators: Mapping[str, Tensor]) -> ModelOutput:
        target, outputs, logs = model.named_targets()[self.target], [], []
        for _ in range(2):
            features = model.encode(batch)
            outputs.append(model.losses_of(features, batch, denominators))
            logits, counted = target.logits(model.view(features, self.target), batch)
            logs.append(logits[counted].float().log_softmax(dim=-1))
        one, two = logs
        apart = F.kl_div(one, two, reduction="sum", log_target=True) + F.kl_div(
            two, one, reduction="sum", log_target=True
        )
        first, second = outputs
        first.loss = (first.loss + second.loss) / 2 + self.weight * apart / 2 / denominators[self.target].clamp(min=1)
        return first


class RDropConfig(HooksConfig):
    target: str = Field("sp")
    weight: float = Field(1.0, ge=0)

    def build(self) -> RDrop:
        return RDrop(self.target, self.weight)


class Adversarial:
    """Second passes with the word vectors moved along their gradient (FGM; Miyato et al., 2017)."""

    def __init__(self, epsilon: float) -> None:
        self.epsilon = epsilon

    @hookimpl
    def tp_further_passes(self, trainer: Any) -> Iterable[AbstractContextManager[None]]:
        yield self._moved(trainer)

    @contextlib.contextmanager
    def _moved(self, trainer: Any) -> Iterator[None]:
        words = dict(trainer.model.named_parameters())["embedding.parts.word.table.weight"]
        gradient = trainer.strategy.gradient(words)
        before = words.detach().clone()
        if gradient is not None:
            with torch.no_grad():
                words += self.epsilon * gradient / gradient.norm().clamp(min=1e-12)
        try:
            yield
        finally:
            with torch.no_grad():
                words.copy_(before)


class AdversarialConfig(HooksConfig):
    epsilon: float = Field(1.0, gt=0)

    def build(self) -> Adversarial:
        return Adversarial(self.epsilon)


class Louder:
    """Adds to what the model gives, as a wrapper does."""

    @hookimpl(wrapper=True)
    def tp_forward(self, model: Model) -> Generator[None, ModelOutput, ModelOutput]:
        output = yield
        output.loss = output.loss * 2
        return output


class LouderConfig(HooksConfig):
    def build(self) -> Louder:
        return Louder()


class Average:
    """The mean of the weights so far, which a checkpoint keeps."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.steps = 0

    @hookimpl
    def tp_step_end(self, trainer: Any) -> None:
        self.steps += 1
        for name, value in trainer.model.weights().items():
            self.sums[name] = self.sums[name] + value.double() if name in self.sums else value.double()

    @hookimpl
    def tp_checkpoint_save(self, trainer: Any, state: dict[str, Any]) -> None:
        state["average"] = {"sums": self.sums, "steps": self.steps}

    @hookimpl
    def tp_checkpoint_load(self, trainer: Any, state: dict[str, Any]) -> None:
        self.sums, self.steps = state["average"]["sums"], state["average"]["steps"]

    @hookimpl
    def tp_train_end(self, trainer: Any) -> None:
        if trainer.strategy.rank == 0:
            torch.save({name: value / self.steps for name, value in self.sums.items()}, trainer.run / "average.pt")


class AverageConfig(HooksConfig):
    def build(self) -> Average:
        return Average()
