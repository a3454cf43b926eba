"""Reading of whole files of others: kind and size are known before memory is asked for. Torch-free."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

from tp_core.errors import naming

#: The most bytes of a JSON file. Vocabularies and indexes of shards have some tens of MB.
MOST_JSON = 2**28


def kind_of(mode: int) -> str:
    """The kind of a thing that is neither a file nor a folder: opening it may wait for ever."""
    kinds = {
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "no file")


def read_bounded(path: str | Path, most: int) -> bytes:
    """The content of a file of at most so many bytes.

    Raises:
        OSError: it cannot be read, is larger, or is a pipe, which is waited for, or a device, which may have no end.
    """
    try:
        state = os.stat(path)
        if not (stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode)):  # the system tells of a folder
            raise OSError(errno.EINVAL, f"this is {kind_of(state.st_mode)}; expected a file", str(path))
        if stat.S_ISREG(state.st_mode) and state.st_size > most:
            raise OSError(errno.EFBIG, f"it has {state.st_size:,} bytes; at most {most:,} are read", str(path))
        with naming(path), open(path, "rb") as file:
            return file.read()
    except MemoryError:
        raise OSError(errno.ENOMEM, f"there is no memory for its {state.st_size:,} bytes", str(path)) from None
    except ValueError as error:  # a name with a null character
        raise OSError(errno.EINVAL, str(error), str(path)) from None


def need_readable(path: str | Path) -> None:
    """Open a file and close it, for a library that does not say why it cannot.

    Raises:
        OSError: it cannot be opened.
    """
    with open(path, "rb"):
        pass


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        OSError: it cannot be read (:func:`read_bounded`).
        ValueError: it is no JSON, or is nested too deep.
    """
    try:
        return json.loads(read_bounded(path, MOST_JSON).decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deep") from None
