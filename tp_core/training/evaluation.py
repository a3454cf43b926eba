"""Losses and metrics of a model on held-out data."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import torch

from tp_core.data.loader import evaluation_batches
from tp_core.interfaces import Batch, Processor, Rows
from tp_core.model import Model
from tp_core.training.metrics import Sums
from tp_core.training.strategies import Strategy


def evaluate_batches(
    model: Model,
    batches: Iterable[Batch],
    strategy: Strategy,
    autocast: Callable[[], AbstractContextManager[Any]],
) -> dict[str, float]:
    """Mean loss, mean loss per target and every metric, over all batches of all processes."""
    sums = Sums(strategy.device)
    training = model.training
    model.eval()
    with torch.no_grad(), torch.random.fork_rng():
        for batch in batches:
            with autocast():
                output = model(batch.to(strategy.device))
            for name, result in output.outputs.items():
                sums.add(f"loss/{name}", result.loss_sum, result.denominator)
            sums.add_output(output)
    model.train(training)
    # A process without a batch must still take part in the sum, with the same names in the same order.
    sums.align(list(dict.fromkeys(name for names in strategy.gather(sums.names()) for name in names)))
    found = sums.read(strategy.all_reduce)
    loss = sum(found[f"loss/{name}"] * model.loss_weights[name] for name in model.targets)
    return {"loss": loss, **found}


class Evaluator:
    """Evaluates a model on prepared rows, the same way every time."""

    def __init__(
        self, rows: Rows, processor: Processor, batch_size: int, seed: int, limit: int | None = None, workers: int = 0
    ) -> None:
        self.rows, self.processor, self.batch_size = rows, processor, batch_size
        self.seed, self.limit, self.workers = seed, limit, workers

    def __call__(
        self, model: Model, strategy: Strategy, autocast: Callable[[], AbstractContextManager[Any]]
    ) -> dict[str, float]:
        batches = evaluation_batches(
            self.rows,
            self.processor,
            self.batch_size,
            self.seed,
            strategy.rank,
            strategy.world_size,
            self.limit,
            self.workers,
            pin=strategy.device.type == "cuda",
        )
        with contextlib.closing(batches):
            return evaluate_batches(model, batches, strategy, autocast)
