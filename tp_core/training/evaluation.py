"""Losses and metrics of a model on held-out data."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch

from tp_core.data.loader import evaluation_batches
from tp_core.data.mixture import DataSet
from tp_core.inference.mode import evaluating
from tp_core.interfaces import Batch, Processor
from tp_core.model import Model
from tp_core.training.metrics import Sums
from tp_core.training.random_state import random_state_kept
from tp_core.training.strategies import Strategy


def evaluate_batches(
    model: Model,
    batches: Iterable[Batch],
    strategy: Strategy,
    autocast: Callable[[], AbstractContextManager[Any]],
    processor: Processor | None = None,
) -> dict[str, float]:
    """Mean loss, mean loss per target and every metric, over all batches of all processes.

    Args:
        processor: adds metrics of its own (:meth:`tp_core.interfaces.Processor.score`).
    """
    sums = Sums(strategy.device)
    with evaluating(model), random_state_kept():
        for batch in batches:
            batch = batch.to(strategy.device)
            with autocast():
                output = model(batch)
                predictions = model.predict(batch) if processor is not None and processor.scores else []
            for name, result in output.outputs.items():
                sums.add(f"loss/{name}", result.loss_sum, result.denominator)
            sums.add_output(output)
            if processor is not None and processor.scores:
                for name, (total, count) in processor.score(predictions, batch).items():
                    sums.add(name, torch.tensor(total, device=strategy.device), count)
    # A process without a batch must still take part in the sum, with the same names in the same order.
    sums.align(list(dict.fromkeys(name for names in strategy.gather(sums.names()) for name in names)))
    found = sums.read(strategy.all_reduce)
    loss = sum(found[f"loss/{name}"] * weight for name, weight in model.loss_weights.items() if f"loss/{name}" in found)
    return {"loss": loss, **found}


class Evaluator:
    """Evaluates a model on prepared rows, the same way every time.

    Several sets are evaluated one after the other; their figures carry the set's name (``loss/<set>/<target>``), and
    the loss as a whole is their mean, weighted by the sets' shares.
    """

    def __init__(
        self, sets: Sequence[DataSet], batch_size: int, seed: int, limit: int | None = None, workers: int = 0
    ) -> None:
        self.sets, self.batch_size = sets, batch_size
        self.seed, self.limit, self.workers = seed, limit, workers

    def __call__(
        self, model: Model, strategy: Strategy, autocast: Callable[[], AbstractContextManager[Any]]
    ) -> dict[str, float]:
        if len(self.sets) == 1 and not self.sets[0].name:
            return self._one(self.sets[0], model, strategy, autocast)
        found: dict[str, float] = {"loss": 0.0}
        for data in self.sets:
            own = self._one(data, model, strategy, autocast)
            found["loss"] += own.pop("loss") * data.share / sum(each.share for each in self.sets)
            for name, value in own.items():
                head, _, rest = name.partition("/")
                found[f"loss/{data.name}/{rest}" if head == "loss" else f"{data.name}/{name}"] = value
        return found

    def _one(
        self, data: DataSet, model: Model, strategy: Strategy, autocast: Callable[[], AbstractContextManager[Any]]
    ) -> dict[str, float]:
        batches = evaluation_batches(
            data.rows,
            data.processor,
            self.batch_size,
            self.seed,
            strategy.rank,
            strategy.world_size,
            self.limit,
            self.workers,
            pin=strategy.device.type == "cuda",
        )
        with contextlib.closing(batches):
            return evaluate_batches(model, batches, strategy, autocast, data.processor)
