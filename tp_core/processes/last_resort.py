"""A second Ctrl-C ends a process also where Python does not come to handle it."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time

#: Seconds in which Python handles a signal, unless a library waits for what does not come.
_ANSWER = 3.0

_STATUS = 130
_MESSAGE = b"interrupted while waiting for other processes\n"


class LastResort:
    """Watches the signals of a process from a thread, and ends it if a second SIGINT is not handled in time.

    Libraries in C++, such as gloo, hold the main thread while they wait for other processes; the handlers of Python
    run when they return.

    Args:
        echo: seconds within which a further SIGINT is an echo of the first.
    """

    def __init__(self, echo: float = 0.0) -> None:
        self._echo = echo
        self._handled = threading.Event()
        self._ends: tuple[socket.socket, socket.socket] | None = None

    def start(self) -> None:
        """Begin to watch; in the main thread, and where nobody else does."""
        read, write = socket.socketpair()
        write.setblocking(False)
        before = signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False)
        if before != -1:  # an event loop's
            signal.set_wakeup_fd(before)
            read.close()
            write.close()
            return
        self._ends = read, write
        threading.Thread(target=self._watch, args=(read,), daemon=True).start()

    def handled(self) -> None:
        """Python handles the second SIGINT."""
        self._handled.set()

    def stop(self) -> None:
        if self._ends is None:
            return
        signal.set_wakeup_fd(-1)
        self._ends[1].close()  # which ends the thread
        self._ends = None

    def _watch(self, read: socket.socket) -> None:
        first: float | None = None
        with read:
            while numbers := read.recv(64):
                for number in numbers:
                    if number != signal.SIGINT:
                        continue
                    now = time.monotonic()
                    second = first is not None and now - first >= self._echo
                    first = now if first is None else first
                    if second and not self._handled.wait(_ANSWER):
                        os.write(2, _MESSAGE)
                        os._exit(_STATUS)
