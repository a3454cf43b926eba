"""Agreement of a run's processes on failures and on requests to save or stop."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import ParamSpec, TypeVar

from tp_core.errors import PeerFailedError
from tp_core.packages.plugin_errors import plugin_error
from tp_core.processes.group import ProcessGroup

P = ParamSpec("P")
T = TypeVar("T")


class Request(IntEnum):
    """A process's request to all processes. The largest request is carried out."""

    GO_ON = 0
    SAVE = 1
    STOP = 2
    FAIL = 3


class Agreement:
    """Collects errors of this process until all processes reach a common point, where they can handle them together.

    Attributes:
        failure: the first error, or None.
    """

    def __init__(self, processes: ProcessGroup) -> None:
        self.processes = processes
        self.failure: Exception | None = None

    def attempt(self, work: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T | None:
        """Do work that needs no other process. An error is kept for :meth:`agreed`; the result is then None."""
        try:
            return work(*arguments, **keywords)
        except BaseException as error:
            told = error if isinstance(error, Exception) else plugin_error(error)
            if told is None:
                raise
            self.failure = self.failure or told
            return None

    def agreed(self, request: Request = Request.GO_ON) -> Request:
        """The largest request of all processes, the same on each; FAIL if any process had an error."""
        try:
            return Request(self.processes.maximum(Request.FAIL if self.failure is not None else request))
        except Exception as error:  # the others may wait for something else, which this process has not reached
            if self.failure is None:
                raise
            raise self.failure from error

    def error(self) -> Exception:
        """The error that this process raises after all have agreed on FAIL."""
        return self.failure or PeerFailedError("another process of the run could not go on")


def first_then_others(processes: ProcessGroup, work: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
    """The result of work that leaves files on a disk which the processes may share: the first process does it alone.

    The others wait, then do the same work and find the files. If one fails, all raise.
    """
    if processes.world_size == 1:
        return together(processes, work, *arguments, **keywords)
    first = processes.rank == 0
    own = together(processes, lambda: work(*arguments, **keywords) if first else None)
    found = together(processes, lambda: None if first else work(*arguments, **keywords))
    return own if first else found  # type: ignore[return-value]


def together(processes: ProcessGroup, work: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
    """Run work that needs no other process on every process. If one fails, all raise, so that none waits for it."""
    agreement = Agreement(processes)
    result = agreement.attempt(work, *arguments, **keywords)
    if agreement.agreed() == Request.FAIL:
        raise agreement.error()
    return result  # type: ignore[return-value]
