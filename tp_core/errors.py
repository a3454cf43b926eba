"""The errors that a user can cause and mend: one clear message, exit status 2, no traceback."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator


class TPError(Exception):
    """Something the user gave cannot be used as it is. The message says what, where and what would do."""


class DataError(TPError):
    """A record, file or folder of training data that cannot be used.

    The message begins with ``file:line:`` where the place is known. Half a surrogate pair in it, of a value or of a
    file's name, stands there as an escape: messages are written to files as well.
    """

    def __init__(self, message: str, *, file: str | None = None, line: int | None = None) -> None:
        place = "" if file is None else f"{file}: " if line is None else f"{file}:{line}: "
        super().__init__((place + message).encode("utf-8", "backslashreplace").decode())


class PeerFailedError(TPError):
    """Another process of the same run failed and says why; this one ends with it, in silence."""


class CheckpointError(TPError):
    """A checkpoint or exported model that is missing, damaged or does not fit."""


def system_error(error: OSError, place: object = "") -> TPError:
    """The message for what the system refuses, with the path; ``place`` stands for it where the error has none."""
    path = error.filename if error.filename is not None else place
    shown = os.fsdecode(path) if isinstance(path, (str, bytes)) else str(path)
    reason = error.strerror or str(error) or type(error).__name__
    return TPError(f"{shown}: {reason}" if shown else reason[:1].lower() + reason[1:])


def describe_error(error: BaseException) -> str:
    """An exception's type and message."""
    try:
        message = str(error)
    except Exception:  # an exception of others, whose __str__ fails
        message = ""
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Give the system's errors the path of the file, which those of reading and writing an open one lack."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = os.fspath(path)
        raise


def out_of_memory(error: BaseException) -> bool:
    """True if an error says that there is no memory left, on a device or for the process."""
    torch = sys.modules.get("torch")  # which whoever raises its errors has imported
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def warn(message: str) -> None:
    """Tell a caller from Python, as a warning, what a command would tell its user."""
    warnings.warn(message, stacklevel=4)
