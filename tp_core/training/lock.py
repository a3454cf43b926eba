"""One process at a time writes to a run's folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tp_core.errors import TPError

#: Empty file in the run's folder that the lock is on.
LOCK = ".lock"


class RunLock:
    """A lock that the system gives back when the process ends, however it ends."""

    def __init__(self) -> None:
        self._descriptor: int | None = None

    def acquire(self, folder: Path) -> None:
        """Lock a run's folder, which exists; where a file system has no locks, do without.

        Raises:
            TPError: another process has it.
        """
        if sys.platform == "win32":
            return
        import fcntl

        # Not flock(): a worker that outlives a killed run would inherit that lock, and keep the run from resuming.
        self._descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = _is_file(self._descriptor, folder / LOCK)
        except (BlockingIOError, PermissionError):
            free = False
        except OSError:
            self.release()
            return
        if not free:
            self.release()
            raise TPError(f"{folder}: another process is training in this folder now; choose another with --run DIR")

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _is_file(descriptor: int, path: Path) -> bool:
    """True if the open file is still the one at the path: a start that fails takes its lock away with the folder."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
