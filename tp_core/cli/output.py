"""Output files of commands. A file is written completely or not at all. Torch-free."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tp_core.errors import TPError
from tp_core.files.whole_files import draft, temporary_name
from tp_core.processes.shared import ALONE, Processes
from tp_core.suggest import instead
from tp_core.terminal import printable

#: Errors of the system that may occur while a file is written.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}

#: The path that means the standard output.
STDOUT = Path("-")

#: Folders whose files are open pipes and devices.
_DEVICES = (Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd"))


def new_file(output: str, overwrite: bool, processes: Processes = ALONE) -> Path:
    """Check that an output file can be written, and return its path.

    Args:
        output: a path; ``-`` for the standard output.
        processes: the processes that share the work. Only the first one writes the file and checks its disk.

    Raises:
        TPError: the file exists and must not be replaced, or it cannot be written.
    """
    path = Path(output)
    if path == STDOUT and output != "-":
        path = path.absolute()  # ./- is a file
    if not processes.first or is_stream(path):
        return path
    if os.path.isdir(path):
        raise TPError(f"{path}: this is a folder; expected the name of a file")
    if os.path.exists(path) and not overwrite:
        raise TPError(f"{path}: the file exists; --overwrite replaces it")
    target = Path(os.path.realpath(path))
    if not os.path.isdir(target.parent):
        raise TPError(f"{target.parent}: there is no such folder{instead(target.parent)}")
    temporary = temporary_name(target)
    try:  # report it now, not after the computation
        with contextlib.suppress(FileNotFoundError):
            target.lstat()
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise TPError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return path


def is_stream(path: Path) -> bool:
    """True for the standard output, a pipe, a device or a link to one. A stream is written to and never replaced."""
    for _ in range(40):
        if path == STDOUT or path.parent in _DEVICES:
            return True
        try:
            path = path.parent / os.readlink(path)
        except (OSError, ValueError):  # not a link
            break
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def on_terminal(path: Path) -> bool:
    """True if the output goes to a terminal."""
    return path == STDOUT and sys.stdout.isatty()


def shown_output(path: Path) -> str:
    """An output path as text for messages."""
    return "standard output" if path == STDOUT else str(path)


@contextlib.contextmanager
def whole_file(path: Path, mode: str = "w", processes: Processes = ALONE) -> Iterator[IO[Any]]:
    """A file that gets its name when it is complete. If the block fails, an earlier file of that name stays.

    A link is kept, and its target is replaced. A pipe is written to directly. Text is UTF-8.

    Args:
        path: the result of :func:`new_file`.
        processes: only the first process writes; the output of the others is discarded.

    Raises:
        TPError: the file cannot be written.
    """
    target = Path(os.path.realpath(path))
    replaced = processes.first and not is_stream(path)
    place: Path | None = None
    try:
        with draft(target) if replaced else contextlib.nullcontext(path) as free:
            place = free if processes.first else Path(os.devnull)
            with _opened(place, mode) as file:
                yield file
            if replaced:
                os.replace(place, target)
    except OSError as error:
        gone = error.errno == errno.EPIPE and path not in (STDOUT, Path("/dev/stdout"))  # the command's own pipe
        ours = place is None or str(error.filename).startswith(str(place)) or error.errno in _FULL
        if not (ours or gone):
            raise
        raise TPError(f"{shown_output(path)}: cannot be written: {error.strerror}") from error


class Harmless(io.TextIOBase):
    """A terminal that escapes control characters in the output (:func:`tp_core.terminal.printable`)."""

    def __init__(self, terminal: IO[str]) -> None:
        self._terminal = terminal

    def write(self, text: str) -> int:
        self._terminal.write(printable(text))
        return len(text)

    def flush(self) -> None:
        self._terminal.flush()


@contextlib.contextmanager
def _opened(place: Path, mode: str) -> Iterator[IO[Any]]:
    if place == STDOUT:
        text: Any = Harmless(sys.stdout) if sys.stdout.isatty() else sys.stdout
        yield sys.stdout.buffer if "b" in mode else text
        sys.stdout.flush()
        return
    newline = None if "b" in mode else "\n"  # on every system, so that line ends inside a cell do not change
    with open(place, mode, encoding=None if "b" in mode else "utf-8", newline=newline) as file:
        yield file
