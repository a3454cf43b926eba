"""Waits for other processes, with a time limit, signal handling and a report of missing processes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

T = TypeVar("T")

#: Interval in seconds at which a wait lets Python handle signals.
_SLICE = timedelta(seconds=1)

#: Seconds that a process waits for an answer of the store, or for others to report that they wait, too.
_PATIENCE = 5.0

#: Parts of torch's and gloo's errors about a time limit.
_LATE = ("Timed out waiting", "Application timeout")


class LateError(RuntimeError):
    """Other processes did not arrive within the time limit."""


class Waits:
    """The waits of a process for the others of its run.

    Args:
        notes: the store that all processes share.
        option: name of the option with the limit, for messages; empty for none.

    Attributes:
        limit: seconds; None for no limit.
        left: True if a wait ended before its work was done.
    """

    def __init__(self, notes: Any = None, rank: int = 0, world_size: int = 1, option: str = "") -> None:
        self._notes, self._rank, self._world_size, self._option = notes, rank, world_size, option
        self.limit: float | None = None
        self.left = False

    def until_done(self, work: Any) -> None:
        """Wait for work of torch.distributed while Python handles signals.

        Raises:
            LateError: the work took longer than the limit.
        """
        begin, before, self.left = time.monotonic(), self.left, True
        while True:
            try:
                work.wait(_SLICE)
                self.left = before
                return
            except RuntimeError as error:
                if "Operation timed out" not in str(error):
                    raise
            if self.limit is not None and time.monotonic() - begin >= self.limit:
                raise LateError

    def told(self, error: BaseException) -> str:
        """The message for an error about a process that did not arrive in time; else empty."""
        late = isinstance(error, RuntimeError) and any(sign in str(error) for sign in _LATE)
        if not late and not isinstance(error, LateError):
            return ""
        option = f" ({self._option})" if self._option else ""
        limit = "" if self.limit is None else f" within {self.limit:g} s{option}"
        return f"rank {self._rank} waited for {self._absent()}, which did not come{limit}"

    def _absent(self) -> str:
        """The processes that do not report that they are waiting, too."""
        places = [f"waits/{rank}" for rank in range(self._world_size)]

        def absent() -> list[int]:
            self._notes.set(places[self._rank], "")
            until = time.monotonic() + 0.5 * _PATIENCE
            while True:
                missing = [rank for rank, place in enumerate(places) if not self._notes.check([place])]
                if len(missing) < 2 or time.monotonic() > until:
                    return missing
                time.sleep(0.1)

        found = answer(absent)
        if found is None:
            return "rank 0, which keeps what the processes share,"
        return " and ".join(f"rank {rank}" for rank in found) or "another process"


def answer(question: Callable[[], T]) -> T | None:
    """The answer of a store; None if the store is gone, or if its host does not respond."""
    try:
        return heard(question, _PATIENCE)
    except (RuntimeError, TimeoutError):
        return None


def heard(question: Callable[[], T], seconds: float | None = None) -> T:
    """The result of a call that blocks in a library; Python handles signals meanwhile.

    Raises:
        TimeoutError: the call took longer than ``seconds``. It continues in its thread.
    """
    found: list[T] = []
    failed: list[BaseException] = []

    def ask() -> None:
        try:
            found.append(question())
        except BaseException as error:
            failed.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError
    return found[0]
