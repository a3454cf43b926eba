"""Agreement of a run's processes that one of them has failed, or that the run is to be saved or stopped."""

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
    """The request of a process for all; the largest of all processes' wishes is done."""

    GO_ON = 0
    SAVE = 1
    STOP = 2
    FAIL = 3


class Agreement:
    """Errors of this process that wait until all processes are at one place, where they can be saved together.

    Attributes:
        failure: the first error since the start, or None.
    """

    def __init__(self, processes: ProcessGroup) -> None:
        self.processes = processes
        self.failure: Exception | None = None

    def attempt(self, work: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T | None:
        """Do what needs no other process; an error is kept for :meth:`agreed`, and the result is None."""
        try:
            return work(*arguments, **keywords)
        except BaseException as error:
            told = error if isinstance(error, Exception) else plugin_error(error)
            if told is None:
                raise
            self.failure = self.failure or told
            return None

    def agreed(self, request: Request = Request.GO_ON) -> Request:
        """The largest request of all processes, the same on each; FAIL where one has met an error."""
        return Request(self.processes.maximum(Request.FAIL if self.failure is not None else request))

    def error(self) -> Exception:
        """The error that this process raises when all have agreed on FAIL."""
        return self.failure or PeerFailedError("another process of the run could not go on")


def in_turn(processes: ProcessGroup, work: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
    """Do on the first process, then on the others, what leaves something on a disk that they may share."""
    agreement, result = Agreement(processes), None
    for turn in (0, 1) if processes.world_size > 1 else (0,):
        if (processes.rank == 0) == (turn == 0):
            result = agreement.attempt(work, *arguments, **keywords)
        if agreement.agreed() == Request.FAIL:
            raise agreement.error()
    return result  # type: ignore[return-value]


def together(processes: ProcessGroup, work: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
    """Do on every process what needs no other one; where one fails, all raise, so that none waits for it."""
    agreement = Agreement(processes)
    result = agreement.attempt(work, *arguments, **keywords)
    if agreement.agreed() == Request.FAIL:
        raise agreement.error()
    return result  # type: ignore[return-value]
