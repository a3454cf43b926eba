"""Files and folders of which a crash leaves the old content or the new. Torch-free.

What is not whole yet has a temporary name, which no other process, host or container that shares the folder takes. A
lock on a file beside it says that its maker lives; what makers that are gone have left is cleared by the next one.
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

#: How the names of files and folders begin that are not whole yet.
TEMPORARY = ".tmp-"

_LOCK = ".lock"

#: Seconds after which a temporary file without a lock, as some file systems have none, is nobody's.
_FORGOTTEN = 86400.0

#: What systems say of folders, and of some file systems' files, that cannot be flushed.
_NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM}

#: The locks that this process holds; to open such a file once more and to close it would lose the lock.
_held: dict[str, int] = {}


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file under another name, and give it its own when it is whole and on the disk. Text is UTF-8."""
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
    """A name beside a path that nobody else has."""
    name = path.name
    if len(os.fsencode(name)) > 180:  # names have 255 bytes
        name = hashlib.blake2b(os.fsencode(name), digest_size=16).hexdigest()
    return path.with_name(f"{TEMPORARY}{name}.{secrets.token_hex(6)}")


def sync(path: Path) -> None:
    """Flush a file or folder to the disk, where the file system can: of a folder, some cannot."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        if path.is_dir() and error.errno in _NO_SYNC:  # Windows opens no folders
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
    """Flush a folder with all that is in it."""
    for place, _, files in os.walk(folder):
        for name in files:
            sync(Path(place, name))
        sync(Path(place))


def remove(path: Path) -> None:
    """Remove a file or folder if it is there, as far as possible."""
    with contextlib.suppress(OSError):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def replace_folder(new: Path, path: Path) -> None:
    """Give a folder the name of another one, which is gone then."""
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
    """A temporary name for what becomes ``path`` when it is whole; what still has it behind the block is removed.

    What other makers have left in the folder, which must exist, is cleared before.
    """
    clear(path.parent)
    while True:
        temporary = temporary_name(path)
        lock = temporary.with_name(temporary.name + _LOCK)
        if _hold(lock):
            break
    try:
        yield temporary
    finally:
        for each in _parts(temporary):
            if each != lock:
                remove(each)
        _release(lock)


def clear(folder: Path, owned: bool = False) -> None:
    """Remove temporary files and folders whose makers are gone.

    Args:
        owned: the folder is this process's alone, and all that is there is nobody's.
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
    """The file or folder under a temporary name, and the lock that its maker has put beside it."""
    return [Path(each) for each in glob.glob(glob.escape(str(temporary)) + "*")]


def _old(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_mtime > _FORGOTTEN
    except OSError:
        return False


def _hold(lock: Path, taken: bool = False) -> bool:
    """Lock a file; False if another has it.

    Args:
        taken: the file is there, and is one that somebody else has made.
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
        # Whoever clears may have taken the file away before it was locked.
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
    with contextlib.suppress(OSError):
        os.close(_held.pop(str(lock)))
