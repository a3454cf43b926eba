"""Losses and metrics of a model on labelled batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch

from tp_core.data.sampling.portions import EvaluationBatch
from tp_core.evaluation.mode import evaluating
from tp_core.evaluation.rounds import run_in_rounds, run_until_pause
from tp_core.evaluation.scoring import Scorer
from tp_core.evaluation.tables import Tables
from tp_core.evaluation.texts import EvaluationWriter
from tp_core.evaluation.totals import JoinedRows, Totals, computed, divided, states_of
from tp_core.interfaces import Processor
from tp_core.metrics.facts import MetricFacts
from tp_core.model import Model
from tp_core.processes.agreement import together
from tp_core.processes.group import ProcessGroup
from tp_core.processes.pause import NO_PAUSE, Pause
from tp_core.random_state import random_state_kept


def evaluate_batches(
    model: Model,
    batches: Iterable[EvaluationBatch],
    processes: ProcessGroup,
    device: torch.device,
    autocast: Callable[[], AbstractContextManager[Any]],
    facts: Mapping[str, MetricFacts],
    processor: Processor | None = None,
    pause: Pause = NO_PAUSE,
    in_rounds: ProcessGroup | None = None,
    writer: EvaluationWriter | None = None,
    tables: Tables | None = None,
) -> dict[str, float]:
    """Mean loss, mean loss per target and every metric, over all batches of all processes.

    Args:
        batches: batches of this process (:func:`tp_core.data.sampling.loader.evaluation_batches`).
        facts: declared facts of the metrics (:func:`tp_core.spec.metrics.set_metrics`).
        processor: adds its own metrics (:meth:`tp_core.interfaces.Processor.score`).
        pause: checked before each batch; a pause on one process ends the evaluation on all.
        in_rounds: the processes that compute at the same time, since each holds parts of the weights
            (:func:`tp_core.evaluation.rounds.run_in_rounds`); None if each process computes on its own.
        writer: generates the texts that the processor's metrics need.
        tables: gets the tables that targets and the processor declare, on the first process.

    Raises:
        TPError: a metric is not declared and is not a (sum, count).
        InterruptedWaitError: there was a pause, or a signal while waiting for a batch.
    """
    totals, rows = Totals(device), JoinedRows()

    scorer = Scorer(processor) if processor is not None and processor.has_metrics else None

    def add(each: EvaluationBatch, counts: bool = True) -> None:
        batch = each.batch.to(device)
        with autocast():
            output = model(batch, predict=scorer is not None and writer is None, tables=tables is not None)
            predictions = output.predictions if writer is None else writer(each)
        if not counts:
            return
        states = states_of(output)
        if scorer is not None:
            states.update(scorer.add(each, predictions))
        states.update(output.tables)
        adding, joined = divided(states)
        losses = {f"loss/{name}": (own.loss_sum, own.denominator) for name, own in output.outputs.items()}
        totals.add({**losses, **adding})
        rows.add(each.portion.number, joined)

    def add_own() -> None:
        for each in pause.before_each(batches):
            add(each)

    with evaluating(model), random_state_kept():
        if in_rounds is not None:
            run_in_rounds(pause.before_each(batches), in_rounds, add)
        else:
            run_until_pause(processes, add_own)
    # Every process takes part in the sums, also without a batch; each metric is computed by one process.
    arrays = {**totals.read(processes), **rows.read(processes)}
    if tables is not None:
        arrays = tables.take(arrays, processes.rank == 0)
    arrays = {name: arrays[name] for name in dict.fromkeys([*facts, *arrays]) if name in arrays}  # in declared order
    found = together(processes, lambda: computed(arrays, facts) if processes.rank == 0 else {})
    found = processes.from_first(found)
    loss = sum(found[f"loss/{name}"] * weight for name, weight in model.loss_weights.items() if f"loss/{name}" in found)
    return {"loss": loss, **found}
