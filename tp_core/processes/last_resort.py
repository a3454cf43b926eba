"""Ends the process on a second Ctrl-C even if Python cannot handle the signal."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time

#: Python handles a signal within this many seconds, unless a library blocks the main thread.
_ANSWER = 3.0

_STATUS = 130
_MESSAGE = b"interrupted while waiting for other processes\n"


class LastResort:
    """Watches the signals of a process in a thread, and ends the process if a second SIGINT is not handled in time.

    C++ libraries such as gloo block the main thread while they wait for other processes. Python's signal handlers only
    run when they return.

    Args:
        echo: a further SIGINT within this many seconds is an echo of the first.
    """

    def __init__(self, echo: float = 0.0) -> None:
        self._echo = echo
        self._handled = threading.Event()
        self._ends: tuple[socket.socket, socket.socket] | None = None

    def start(self) -> None:
        """Start watching; only in the main thread, and if no other code watches."""
        read, write = socket.socketpair()
        write.setblocking(False)
        before = signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False)
        if before != -1:  # an event loop already watches
            signal.set_wakeup_fd(before)
            read.close()
            write.close()
            return
        self._ends = read, write
        threading.Thread(target=self._watch, args=(read,), daemon=True).start()

    def handled(self) -> None:
        """Note that Python handles the second SIGINT."""
        self._handled.set()

    def stop(self) -> None:
        if self._ends is None:
            return
        signal.set_wakeup_fd(-1)
        self._ends[1].close()  # ends the thread
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
