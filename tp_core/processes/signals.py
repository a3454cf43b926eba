"""Signals ask a run to save, and to stop; a second SIGINT stops it at once."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

from tp_core.processes.last_resort import LastResort
from tp_core.processes.launch import under_torchrun
from tp_core.processes.leaving import SAVE, heard_signals

#: Seconds within which a second SIGINT under torchrun is the first one's echo.
_ECHO = 1.0

#: A terminal that is closed, and what schedulers send before they take the machine away.
_STOP = ("SIGTERM", "SIGINT", "SIGHUP")


class InterruptedWaitError(KeyboardInterrupt):
    """A wait has ended because of a signal, which :class:`StopRequest` has noted. No code of others is to catch it."""


class StopRequest:
    """A context in which signals set a flag instead of ending the process.

    A signal that whoever started us wants to be ignored (``nohup``; a shell's background job) stays ignored.

    Args:
        last_resort: end the process on a second SIGINT also while a library waits for other processes.

    Attributes:
        name: the signal that was received and asks to stop, or None.
        save: SIGUSR1 asked to save and to go on.
    """

    def __init__(self, last_resort: bool = False) -> None:
        self.name: str | None = None
        self.save = False
        self._last_resort = LastResort(_ECHO if under_torchrun() else 0.0) if last_resort else None
        self._since = 0.0  # the first SIGINT; 0 for none
        self._waits = False
        self._before: dict[int, Any] = {}
        self._child: Any = None

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in heard_signals(*_STOP, SAVE):
                self._before[number] = signal.signal(number, self._receive)
            if hasattr(signal, "SIGCHLD"):
                self._child = signal.getsignal(signal.SIGCHLD)
            if self._last_resort is not None:
                self._last_resort.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._last_resort is not None and self._before:
            self._last_resort.stop()
        for number, handler in self._before.items():
            if handler is not None:  # one that Python did not install cannot be put back
                signal.signal(number, handler)
        if self._child is not None:
            _leave_children(self._child)

    @contextlib.contextmanager
    def ends_waits(self) -> Iterator[None]:
        """A context for what waits and may be left at any point: a signal that asks to stop ends it.

        Raises:
            InterruptedWaitError: there is such a signal.
        """
        self._waits = True
        try:
            if self.name is not None:
                raise InterruptedWaitError
            yield
        finally:
            self._waits = False

    def _receive(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if name == SAVE:
            self.save = True
            return
        if number == signal.SIGINT:
            if self._since and not self._is_echo():
                if self._last_resort is not None:
                    self._last_resort.handled()
                raise KeyboardInterrupt
            self._since = self._since or time.monotonic()
        self.name = self.name or name
        if self._waits:
            self._waits = False  # once: what is cleaned up behind the wait is not disturbed
            raise InterruptedWaitError

    def _is_echo(self) -> bool:
        # The terminal sends Ctrl-C to every process, and torchrun passes it on to its own once more.
        return under_torchrun() and time.monotonic() - self._since < _ECHO


class Children:
    """The end of a worker, which torch raises anywhere in the program, is told where the run is whole."""

    def __init__(self) -> None:
        self._told: list[Any] = []

    @contextlib.contextmanager
    def unheard(self) -> Iterator[None]:
        """Hold SIGCHLD back while the block runs; :meth:`tell` says what happened."""
        handler = signal.getsignal(signal.SIGCHLD) if hasattr(signal, "SIGCHLD") else None
        # Nothing raises before torch has put its own handler there.
        if not callable(handler) or threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, frame: FrameType | None) -> None:
            self._told.append((handler, number))

        signal.signal(signal.SIGCHLD, note)
        try:
            yield
        finally:
            if signal.getsignal(signal.SIGCHLD) is note:
                signal.signal(signal.SIGCHLD, handler)

    def tell(self) -> None:
        """Raise what the handler would have raised."""
        told, self._told = self._told, []
        for handler, number in told:
            handler(number, None)


def _leave_children(before: Any) -> None:
    """Take away the handler that torch installs with its first worker, and would leave for good."""
    from torch.utils.data._utils import signal_handling

    handler = signal.getsignal(signal.SIGCHLD)
    if handler is not before and getattr(handler, "__module__", "") == signal_handling.__name__:
        signal.signal(signal.SIGCHLD, before)
        signal_handling._SIGCHLD_handler_set = False  # so that the next workers have it again
