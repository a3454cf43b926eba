"""Losses and metrics of a model on held-out data."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from tp_core.data.sampling.loader import evaluation_batches
from tp_core.data.sampling.mixture import DataSet
from tp_core.evaluation.mode import evaluating
from tp_core.evaluation.totals import JoinedRows, Totals, computed, divided, states_of
from tp_core.interfaces import Batch, Processor
from tp_core.metrics.facts import MetricFacts
from tp_core.model import Model
from tp_core.processes.meeting import Meeting, Wish, together
from tp_core.processes.pause import NO_PAUSE, Pause
from tp_core.processes.signals import InterruptedWaitError
from tp_core.random_state import random_state_kept
from tp_core.spec.metrics import in_set, set_metrics
from tp_core.training.strategies.base import Strategy


def evaluate_batches(
    model: Model,
    batches: Iterable[Batch],
    strategy: Strategy,
    autocast: Callable[[], AbstractContextManager[Any]],
    facts: Mapping[str, MetricFacts],
    processor: Processor | None = None,
    pause: Pause = NO_PAUSE,
) -> dict[str, float]:
    """Mean loss, mean loss per target and every metric, over all batches of all processes.

    Args:
        batches: of this process, which are dealt out in turn: batch ``i`` is number ``i · processes + rank`` of all.
        facts: what is declared of the metrics (:func:`tp_core.spec.metrics.set_metrics`).
        processor: adds metrics of its own (:meth:`tp_core.interfaces.Processor.score`).
        pause: asked before each batch; where it is true on one process, all end.

    Raises:
        TPError: a metric is no (sum, count), and is not declared.
        InterruptedWaitError: there was a pause, or a signal while a batch was waited for.
    """
    totals, rows = Totals(strategy.device), JoinedRows()

    def add_own() -> None:
        for number, batch in enumerate(pause.before_each(batches)):
            batch = batch.to(strategy.device)
            with autocast():
                output = model(batch)
                predictions = model.predict(batch) if processor is not None and processor.has_metrics else []
            states = states_of(output)
            if processor is not None and processor.has_metrics:
                states.update(processor.score(predictions, batch))
            adding, joined = divided(states)
            losses = {f"loss/{name}": (own.loss_sum, own.denominator) for name, own in output.outputs.items()}
            totals.add({**losses, **adding})
            rows.add(number * strategy.world_size + strategy.rank, joined)

    with evaluating(model), random_state_kept():
        _until_pause(strategy, add_own)
    # Every process takes part in the sums, those without a batch too; one of them makes the numbers for all.
    arrays = {**totals.read(strategy), **rows.read(strategy)}
    arrays = {name: arrays[name] for name in dict.fromkeys([*facts, *arrays]) if name in arrays}  # in declared order
    found = together(strategy, lambda: computed(arrays, facts) if strategy.rank == 0 else {})
    found = strategy.from_first(found)
    loss = sum(found[f"loss/{name}"] * weight for name, weight in model.loss_weights.items() if f"loss/{name}" in found)
    return {"loss": loss, **found}


def _until_pause(strategy: Strategy, work: Callable[[], None]) -> None:
    """Do on every process what needs no other one; where one fails or pauses, all raise."""
    meeting, wish = Meeting(strategy), Wish.GO_ON
    try:
        meeting.attempt(work)
    except InterruptedWaitError:
        wish = Wish.STOP
    agreed = meeting.agreed(wish)
    if agreed == Wish.FAIL:
        raise meeting.error()
    if agreed == Wish.STOP:
        raise InterruptedWaitError


class Evaluator:
    """Evaluates a model on prepared rows, the same way every time.

    Several sets are evaluated one after the other; their figures carry the set's name (``loss/<set>/<target>``), and
    the loss as a whole is their mean, weighted by the sets' shares.
    """

    def __init__(
        self,
        sets: Sequence[DataSet],
        batch_size: int,
        seed: int,
        limit: int | None = None,
        workers: int = 0,
        timeout: float | None = None,
    ) -> None:
        self.sets, self.batch_size = sets, batch_size
        self.seed, self.limit, self.workers, self.timeout = seed, limit, workers, timeout

    def __call__(
        self,
        model: Model,
        strategy: Strategy,
        autocast: Callable[[], AbstractContextManager[Any]],
        pause: Pause = NO_PAUSE,
    ) -> dict[str, float]:
        """The figures of all sets.

        Raises:
            InterruptedWaitError: there was a pause (:func:`evaluate_batches`), on whichever process.
        """
        if len(self.sets) == 1 and not self.sets[0].name:
            return self._one(self.sets[0], model, strategy, autocast, pause)
        found: dict[str, float] = {"loss": 0.0}
        for data in self.sets:
            own = self._one(data, model, strategy, autocast, pause)
            found["loss"] += own.pop("loss") * data.share / sum(each.share for each in self.sets)
            found |= {in_set(name, data.name): value for name, value in own.items()}
        return found

    def _one(
        self,
        data: DataSet,
        model: Model,
        strategy: Strategy,
        autocast: Callable[[], AbstractContextManager[Any]],
        pause: Pause,
    ) -> dict[str, float]:
        batches = evaluation_batches(
            data.rows,
            data.feed,
            self.batch_size,
            self.seed,
            strategy.rank,
            strategy.world_size,
            self.limit,
            self.workers,
            pin=strategy.device.type == "cuda",
            timeout=self.timeout,
        )
        with contextlib.closing(batches):
            facts = set_metrics(model.spec, model.spec.of_set(data.name))
            return evaluate_batches(model, batches, strategy, autocast, facts, data.processor, pause)
