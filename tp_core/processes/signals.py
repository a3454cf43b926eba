"""Signals ask a run to save or stop. A second SIGINT stops it at once."""

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

#: Under torchrun, a second SIGINT within this many seconds is an echo of the first one.
_ECHO = 1.0

#: Signals for a closed terminal, and those that schedulers send before they take the machine away.
_STOP = ("SIGTERM", "SIGINT", "SIGHUP")


class InterruptedWaitError(KeyboardInterrupt):
    """A signal, which :class:`StopRequest` has recorded, ended a wait. Third-party code should not catch this error."""


class StopRequest:
    """A context in which signals set a flag instead of ending the process.

    A signal that the parent process ignores stays ignored (``nohup``; a shell's background job).

    Args:
        last_resort: True to end the process on a second SIGINT even while a library waits for other processes.

    Attributes:
        name: name of the received signal that asks to stop, or None.
        save: True if SIGUSR1 has asked to save and continue.
    """

    def __init__(self, last_resort: bool = False) -> None:
        self.name: str | None = None
        self.save = False
        self._last_resort = LastResort(_ECHO if under_torchrun() else 0.0) if last_resort else None
        self._since = 0.0  # time of the first SIGINT; 0 for none
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
            if handler is not None:  # a handler that Python did not install cannot be restored
                signal.signal(number, handler)
        if self._child is not None:
            _leave_children(self._child)

    @contextlib.contextmanager
    def ends_waits(self) -> Iterator[None]:
        """A context for waits that may be interrupted at any point: a signal that asks to stop ends the wait.

        Raises:
            InterruptedWaitError: such a signal was received.
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
            self._waits = False  # only once: the cleanup after the wait must not be interrupted
            raise InterruptedWaitError

    def _is_echo(self) -> bool:
        # The terminal sends Ctrl-C to every process, and torchrun forwards it to its processes again.
        return under_torchrun() and time.monotonic() - self._since < _ECHO


class Children:
    """Delays reports about ended worker processes, which torch raises anywhere, until the run's state is consistent."""

    def __init__(self) -> None:
        self._told: list[Any] = []

    @contextlib.contextmanager
    def unheard(self) -> Iterator[None]:
        """Hold SIGCHLD back during the block; :meth:`tell` reports it."""
        handler = signal.getsignal(signal.SIGCHLD) if hasattr(signal, "SIGCHLD") else None
        # Nothing is raised before torch has installed its handler.
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
        """Raise the error that the handler would have raised."""
        told, self._told = self._told, []
        for handler, number in told:
            handler(number, None)


def _leave_children(before: Any) -> None:
    """Remove the SIGCHLD handler that torch installs with its first worker and never removes."""
    from torch.utils.data._utils import signal_handling

    handler = signal.getsignal(signal.SIGCHLD)
    if handler is not before and getattr(handler, "__module__", "") == signal_handling.__name__:
        signal.signal(signal.SIGCHLD, before)
        signal_handling._SIGCHLD_handler_set = False  # so that torch installs it again for the next workers
