"""Turns for what needs much memory, so that threads do not add up what each needs. Torch-free."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """One thread at a time; the same one may come in again. In a forked child nobody has the turn."""

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)  # a thread of the parent may have had it, and is not there

    def _renew(self) -> None:
        self._lock = threading.RLock()

    @contextmanager
    def alone(self, needed: bool = True) -> Iterator[None]:
        """Wait for the turn, and have it inside; do neither where it is not needed."""
        if not needed:
            yield
            return
        with self._lock:
            yield
