"""Checks during evaluations for a signal to save or stop the run, on any process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from tp_core.processes.group import ProcessGroup
from tp_core.processes.signals import InterruptedWaitError

T = TypeVar("T")

#: Seconds between two checks for signals on other processes.
_OFTEN = 1.0


class Pause:
    """Checks before each item of a loop if any process has received a signal.

    Args:
        heard: returns True if this process has received a signal.
        waits: context for waiting for an item; raises :class:`InterruptedWaitError` on a signal that asks to stop.
    """

    def __init__(
        self,
        processes: ProcessGroup | None = None,
        heard: Callable[[], bool] = lambda: False,
        waits: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._processes, self._heard, self._waits = processes, heard, waits
        self._calls = 0 if processes is None else processes.notifications()
        self._looked = time.monotonic()

    def before_each(self, items: Iterable[T]) -> Iterator[T]:
        """Iterate over the items.

        Raises:
            InterruptedWaitError: this process or another one has received a signal.
        """
        source = iter(items)
        while True:
            try:
                with self._waits():
                    item = next(source)
            except StopIteration:
                return
            except InterruptedWaitError:
                self._tell()
                raise
            if self._heard():
                self._tell()
                raise InterruptedWaitError
            if self._called():
                raise InterruptedWaitError
            yield item

    def _tell(self) -> None:
        if self._processes is not None:
            self._processes.notify()

    def _called(self) -> bool:
        now = time.monotonic()
        if self._processes is None or now - self._looked < _OFTEN:
            return False
        self._looked = now
        return self._processes.notifications() > self._calls


#: For evaluations outside a run.
NO_PAUSE = Pause()
