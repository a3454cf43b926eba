"""A lock for work that needs much memory, so that only one thread does such work at a time. Torch-free."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class MemoryLock:
    """A reentrant lock. In a forked child process, it is free."""

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                after_in_child=self._renew
            )  # a thread of the parent, which does not exist in the child, may have held it

    def _renew(self) -> None:
        self._lock = threading.RLock()

    @contextmanager
    def alone(self, needed: bool = True) -> Iterator[None]:
        """A context that holds the lock; it does nothing if ``needed`` is False."""
        if not needed:
            yield
            return
        with self._lock:
            yield
