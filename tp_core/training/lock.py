"""A lock that lets only one process at a time write to a run's folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tp_core.errors import TPError

#: Empty file in the run's folder that is locked.
LOCK = ".lock"


class RunLock:
    """A lock that the system releases when the process ends for any reason."""

    def __init__(self) -> None:
        self._descriptor: int | None = None

    def acquire(self, folder: Path) -> None:
        """Lock an existing run's folder. On file systems without locks, nothing is locked.

        Raises:
            TPError: another process holds the lock.
        """
        if sys.platform == "win32":
            return
        import fcntl

        # Not flock(): a worker that outlives a killed run would inherit the lock and prevent resuming.
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
    """True if the open file is still the one at the path; a failed start removes the lock file with the folder."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
