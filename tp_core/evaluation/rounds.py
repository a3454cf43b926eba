"""Evaluation in rounds: all processes compute at the same time, as weights divided among them require."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tp_core.interfaces import Batch
from tp_core.processes.agreement import Agreement, Request
from tp_core.processes.group import ProcessGroup
from tp_core.processes.signals import InterruptedWaitError


def run_in_rounds(batches: Iterator[Batch], processes: ProcessGroup, work: Callable[[int, Batch, bool], None]) -> None:
    """Call ``work`` on every process equally often, until no process has another batch.

    A process without another batch repeats its last one; if it has none at all, it takes one of the first process. If
    one process fails or pauses before a round, all raise.

    Args:
        batches: batches of this process; the first process has at least as many as any other.
        work: (round, batch, True if the batch counts) → None.

    Raises:
        InterruptedWaitError: there was a pause, or a signal while waiting for a batch.
    """
    agreement, number = Agreement(processes), 0
    last: Batch | None = None
    while True:
        batch, request = None, Request.GO_ON
        try:
            batch = agreement.attempt(next, batches, None)
        except InterruptedWaitError:
            request = Request.STOP
        agreed = agreement.agreed(request)
        if agreed == Request.FAIL:
            raise agreement.error()
        if agreed == Request.STOP:
            raise InterruptedWaitError
        if not processes.agree(batch is not None):
            return
        if number == 0 and processes.agree(batch is None):
            last = processes.from_first(batch)
        last = batch if batch is not None else last
        assert last is not None
        agreement.attempt(work, number, last, batch is not None)
        number += 1
