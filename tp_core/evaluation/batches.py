"""Losses and metrics of a model on labelled batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch

from tp_core.evaluation.mode import evaluating
from tp_core.evaluation.totals import JoinedRows, Totals, computed, divided, states_of
from tp_core.interfaces import Batch, Processor
from tp_core.metrics.facts import MetricFacts
from tp_core.model import Model
from tp_core.processes.group import ProcessGroup
from tp_core.processes.meeting import Agreement, Request, together
from tp_core.processes.pause import NO_PAUSE, Pause
from tp_core.processes.signals import InterruptedWaitError
from tp_core.random_state import random_state_kept


def evaluate_batches(
    model: Model,
    batches: Iterable[Batch],
    processes: ProcessGroup,
    device: torch.device,
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
    totals, rows = Totals(device), JoinedRows()

    def add_own() -> None:
        for number, batch in enumerate(pause.before_each(batches)):
            batch = batch.to(device)
            with autocast():
                output = model(batch)
                predictions = model.predict(batch) if processor is not None and processor.has_metrics else []
            states = states_of(output)
            if processor is not None and processor.has_metrics:
                states.update(processor.score(predictions, batch))
            adding, joined = divided(states)
            losses = {f"loss/{name}": (own.loss_sum, own.denominator) for name, own in output.outputs.items()}
            totals.add({**losses, **adding})
            rows.add(number * processes.world_size + processes.rank, joined)

    with evaluating(model), random_state_kept():
        _until_pause(processes, add_own)
    # Every process takes part in the sums, those without a batch too; one of them makes the numbers for all.
    arrays = {**totals.read(processes), **rows.read(processes)}
    arrays = {name: arrays[name] for name in dict.fromkeys([*facts, *arrays]) if name in arrays}  # in declared order
    found = together(processes, lambda: computed(arrays, facts) if processes.rank == 0 else {})
    found = processes.from_first(found)
    loss = sum(found[f"loss/{name}"] * weight for name, weight in model.loss_weights.items() if f"loss/{name}" in found)
    return {"loss": loss, **found}


def _until_pause(processes: ProcessGroup, work: Callable[[], None]) -> None:
    """Do on every process what needs no other one; where one fails or pauses, all raise."""
    agreement, request = Agreement(processes), Request.GO_ON
    try:
        agreement.attempt(work)
    except InterruptedWaitError:
        request = Request.STOP
    agreed = agreement.agreed(request)
    if agreed == Request.FAIL:
        raise agreement.error()
    if agreed == Request.STOP:
        raise InterruptedWaitError
