"""Errors that a user can cause and fix: one clear message, exit status 2, no traceback."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator


class TPError(Exception):
    """An input of the user that cannot be used. The message says what was found, where, and what is expected."""


class DataError(TPError):
    """A record, file or folder of training data that cannot be used.

    The message begins with ``file:line:`` if the place is known. Unpaired surrogates are escaped, since messages are
    also written to files.
    """

    def __init__(self, message: str, *, file: str | None = None, line: int | None = None) -> None:
        place = "" if file is None else f"{file}: " if line is None else f"{file}:{line}: "
        super().__init__((place + message).encode("utf-8", "backslashreplace").decode())


class PeerFailedError(TPError):
    """Another process of the same run failed and reports its error; this process ends without a message."""


class CheckpointError(TPError):
    """A checkpoint or exported model is missing, damaged or does not fit."""


def system_error(error: OSError, place: object = "") -> TPError:
    """The message for a system error, with its path; ``place`` is used if the error has no path."""
    path = error.filename if error.filename is not None else place
    shown = os.fsdecode(path) if isinstance(path, (str, bytes)) else str(path)
    reason = error.strerror or str(error) or type(error).__name__
    return TPError(f"{shown}: {reason}" if shown else reason[:1].lower() + reason[1:])


def describe_error(error: BaseException) -> str:
    """An exception's type and message."""
    try:
        message = str(error)
    except Exception:  # the __str__ of a third-party exception may fail
        message = ""
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Add the path of the file to system errors of reading and writing an open file, which lack it."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = os.fspath(path)
        raise


def out_of_memory(error: BaseException) -> bool:
    """True if an error reports that memory is exhausted, on a device or in the process."""
    torch = sys.modules.get("torch")  # code that raises torch's errors has imported it
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def warn(message: str) -> None:
    """Issue a Python warning; commands print the same message."""
    warnings.warn(message, stacklevel=4)
