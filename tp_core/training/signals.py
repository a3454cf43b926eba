"""SIGTERM and SIGINT ask a run to save and stop; a second SIGINT stops it at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

#: Seconds within which a second SIGINT under torchrun is the first one's echo.
_ECHO = 1.0


class StopRequest:
    """A context in which the two signals set a flag instead of ending the process.

    Attributes:
        name: the signal that was received, or None.
    """

    def __init__(self) -> None:
        self.name: str | None = None
        self._since = 0.0
        self._before: dict[int, Any] = {}
        self._child: Any = None

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._receive)
            if hasattr(signal, "SIGCHLD"):
                self._child = signal.getsignal(signal.SIGCHLD)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            if handler is not None:  # one that Python did not install cannot be put back
                signal.signal(number, handler)
        if self._child is not None:
            _leave_children(self._child)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.name is None:
            self.name, self._since = signal.Signals(number).name, time.monotonic()
        elif number == signal.SIGINT and not self._is_echo():
            raise KeyboardInterrupt

    def _is_echo(self) -> bool:
        # The terminal sends Ctrl-C to every process, and torchrun passes it on to its own once more.
        return "TORCHELASTIC_RUN_ID" in os.environ and time.monotonic() - self._since < _ECHO


def _leave_children(before: Any) -> None:
    """Take away the handler that torch installs with its first worker, and would leave for good."""
    from torch.utils.data._utils import signal_handling

    handler = signal.getsignal(signal.SIGCHLD)
    if handler is not before and getattr(handler, "__module__", "") == signal_handling.__name__:
        signal.signal(signal.SIGCHLD, before)
        signal_handling._SIGCHLD_handler_set = False  # so that the next workers have it again
