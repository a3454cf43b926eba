"""Files that commands write: whole or not at all. Torch-free."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NoReturn

from tp_core.errors import TPError
from tp_core.inference.processes import ALONE, Processes

#: What the system may refuse while a file is written.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}


def new_file(output: str, overwrite: bool, processes: Processes = ALONE) -> Path:
    """The path of a file to write, unless one is there that nobody asked to replace.

    Args:
        processes: of these, the first writes the file, and its disk alone is looked at.
    """
    path = Path(output)
    if not processes.first or _is_stream(path):
        return path
    if path.is_dir():
        raise TPError(f"{path}: this is a folder; expected the name of a file")
    if path.exists() and not overwrite:
        raise TPError(f"{path}: the file exists; --overwrite replaces it")
    if not path.parent.is_dir():
        raise TPError(f"{path.parent}: there is no such folder")
    return path


def _is_stream(path: Path) -> bool:
    """True if a path is that of a pipe or a device, such as /dev/stdout, which is written to and never replaced."""
    return path.parent in (Path("/dev"), Path("/dev/fd")) or (
        path.exists() and not path.is_file() and not path.is_dir()
    )


@contextlib.contextmanager
def whole_file(path: Path, mode: str = "w", processes: Processes = ALONE) -> Iterator[IO[Any]]:
    """A file that has its name once it is whole; what was there before stays if the block fails, or on SIGTERM.

    Text is UTF-8.

    Args:
        processes: the first writes; what others write goes nowhere.

    Raises:
        TPError: the file cannot be written.
    """
    target = Path(os.path.realpath(path))  # a link stays one
    replaced = processes.first and not _is_stream(path)
    place = Path(os.devnull) if not processes.first else target.with_name(f".{target.name}.tmp") if replaced else path
    encoding = None if "b" in mode else "utf-8"
    with _cleaned_up(place if replaced else None):
        try:
            with open(place, mode, encoding=encoding) as file:
                yield file
            if replaced:
                os.replace(place, target)
        except OSError as error:
            ours = error.filename in (str(place), place) or error.errno in _FULL
            if not ours:
                raise
            raise TPError(f"{path}: cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def _cleaned_up(temporary: Path | None) -> Iterator[None]:
    """A context behind which a temporary file is gone, also where SIGTERM, which torchrun sends, ends the process."""
    with terminable():
        try:
            yield
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """A context that SIGTERM leaves as an exception, so that what stands in ``finally`` is done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _: object) -> NoReturn:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
