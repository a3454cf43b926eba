"""Atomic writing of files and folders: after a crash, either the old or the new content exists. Torch-free.

An incomplete file or folder has a temporary name, which is unique among all processes, hosts and containers that share
the folder. A lock on a file beside it shows that its writer is alive. The next writer removes temporary files of
writers that are gone.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import os
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tp_core.errors import naming

#: Prefix of the names of incomplete files and folders.
TEMPORARY = ".tmp-"

_LOCK = ".lock"

#: Age in seconds after which a temporary file without a lock is abandoned; some file systems do not support locks.
_FORGOTTEN = 86400.0

#: Error numbers for folders, and for files of some file systems, that cannot be flushed.
_NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM}

#: The locks that this process holds. Opening and closing such a file again would release the lock.
_held: dict[str, int] = {}


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file under a temporary name, and rename it when it is complete and on the disk. Text is UTF-8."""
    temporary = temporary_name(path)
    try:
        with naming(path), open(temporary, "wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def temporary_name(path: Path) -> Path:
    """A unique temporary path in the folder of a path."""
    name = path.name
    if len(os.fsencode(name)) > 180:  # names have at most 255 bytes
        name = hashlib.blake2b(os.fsencode(name), digest_size=16).hexdigest()
    return path.with_name(f"{TEMPORARY}{name}.{secrets.token_hex(6)}")


def sync(path: Path) -> None:
    """Flush a file or folder to the disk, if the file system supports it; some cannot flush folders."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        if path.is_dir() and error.errno in _NO_SYNC:  # Windows cannot open folders
            return
        raise
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)


def sync_all(folder: Path) -> None:
    """Flush a folder and everything in it."""
    for place, _, files in os.walk(folder):
        for name in files:
            sync(Path(place, name))
        sync(Path(place))


def remove(path: Path) -> None:
    """Remove a file or folder if it exists, as far as possible."""
    with contextlib.suppress(OSError):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def replace_folder(new: Path, path: Path) -> None:
    """Rename a folder to the path of another one, which is removed."""
    if not os.path.lexists(path):
        os.rename(new, path)
    else:
        old = temporary_name(path)
        os.rename(path, old)
        try:
            os.rename(new, path)
        except OSError:
            os.rename(old, path)
            raise
        remove(old)
    sync(path.parent)


@contextlib.contextmanager
def draft(path: Path) -> Iterator[Path]:
    """A context with a temporary path for a file or folder that is renamed to ``path`` when it is complete.

    If the temporary file still exists at the end of the block, it is removed. The folder must exist. Abandoned
    temporary files in it are removed first.
    """
    clear(path.parent)
    temporary = temporary_name(path)
    lock = temporary.with_name(temporary.name + _LOCK)
    try:  # a signal may raise while the lock is made; no other writer has its random name
        while not _hold(lock):
            temporary = temporary_name(path)
            lock = temporary.with_name(temporary.name + _LOCK)
        yield temporary
    finally:
        for each in _parts(temporary):
            if each != lock:
                remove(each)
        _release(lock)


def clear(folder: Path, owned: bool = False) -> None:
    """Remove temporary files and folders whose writers are gone.

    Args:
        owned: True if only this process uses the folder, so that all temporary files there are abandoned.
    """
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.name.startswith(TEMPORARY)]
    except OSError:
        return
    locked = {name.removesuffix(_LOCK) for name in names if name.endswith(_LOCK)}
    for name in locked:
        lock = folder / (name + _LOCK)
        if _hold(lock, taken=True):
            for each in _parts(folder / name):
                if each != lock:
                    remove(each)
            _release(lock)
    for name in names:
        if not any(name.startswith(each) for each in locked) and (owned or _old(folder / name)):
            remove(folder / name)


def _parts(temporary: Path) -> list[Path]:
    """The file or folder with a temporary name, and the lock file beside it."""
    return [Path(each) for each in glob.glob(glob.escape(str(temporary)) + "*")]


def _old(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_mtime > _FORGOTTEN
    except OSError:
        return False


def _hold(lock: Path, taken: bool = False) -> bool:
    """Lock a file; False if another process holds the lock.

    Args:
        taken: True if the file must already exist, made by another writer.
    """
    if str(lock) in _held:
        return False
    descriptor = -1
    try:
        descriptor = os.open(lock, os.O_RDWR | (0 if taken else os.O_CREAT), 0o666)
        if sys.platform != "win32":
            import fcntl

            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        elif taken and not _old(lock):
            raise BlockingIOError
        # Another process that clears the folder may have removed the file before it was locked.
        if not os.path.samestat(os.fstat(descriptor), os.stat(lock)):
            raise FileNotFoundError
    except OSError as error:
        free = not isinstance(error, (BlockingIOError, PermissionError, FileNotFoundError))
        if descriptor >= 0 and (not free or (taken and not _old(lock))):
            os.close(descriptor)
            return False
        if descriptor < 0:
            if taken:
                return False
            raise
    _held[str(lock)] = descriptor
    return True


def _release(lock: Path) -> None:
    with contextlib.suppress(OSError):
        lock.unlink(missing_ok=True)
    descriptor = _held.pop(str(lock), None)
    if descriptor is not None:
        with contextlib.suppress(OSError):
            os.close(descriptor)
