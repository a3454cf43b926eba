"""Work of all processes on their batches, each on its own or in rounds, until it is done, fails or pauses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from tp_core.processes.agreement import Agreement, Request
from tp_core.processes.group import ProcessGroup
from tp_core.processes.signals import InterruptedWaitError

#: The batch of a round.
Item = TypeVar("Item")


def run_until_pause(processes: ProcessGroup, work: Callable[[], None]) -> None:
    """Run work that needs no other process on every process. If one fails or pauses, all raise."""
    agreement, request = Agreement(processes), Request.GO_ON
    try:
        agreement.attempt(work)
    except InterruptedWaitError:
        request = Request.STOP
    _go_on(agreement, request)


def run_in_rounds(batches: Iterator[Item], processes: ProcessGroup, work: Callable[[Item, bool], None]) -> None:
    """Call ``work`` on every process equally often, as sharded weights require, until no process has another batch.

    A process without another batch repeats its last one; if it has none at all, it takes one of the first process. If
    one process fails or pauses before a round, all raise.

    Args:
        batches: batches of this process; the first process has one if any process has one.
        work: (batch, True if the batch counts) → None.

    Raises:
        InterruptedWaitError: there was a pause, or a signal while waiting for a batch.
    """
    agreement, number = Agreement(processes), 0
    last: Item | None = None
    while True:
        batch, request = None, Request.GO_ON
        try:
            batch = agreement.attempt(next, batches, None)
        except InterruptedWaitError:
            request = Request.STOP
        _go_on(agreement, request)
        if not processes.agree(batch is not None):
            return
        if number == 0 and processes.agree(batch is None):
            last = processes.from_first(batch)
        last = batch if batch is not None else last
        assert last is not None
        agreement.attempt(work, last, batch is not None)
        number += 1


def _go_on(agreement: Agreement, request: Request) -> None:
    """Agree with the other processes; all raise if one has failed or pauses."""
    agreed = agreement.agreed(request)
    if agreed == Request.FAIL:
        raise agreement.error()
    if agreed == Request.STOP:
        raise InterruptedWaitError
