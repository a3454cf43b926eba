"""Reading of whole files with a check of kind and size before memory is allocated. Torch-free."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

from tp_core.errors import naming

#: Maximum size of a JSON file in bytes. Vocabularies and indexes of shards have some tens of MB.
MOST_JSON = 2**28


def kind_of(mode: int) -> str:
    """The kind of an entry that is neither a file nor a folder. Opening such an entry may block forever."""
    kinds = {
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "no file")


def read_bounded(path: str | Path, most: int) -> bytes:
    """The content of a file of at most ``most`` bytes.

    Raises:
        OSError: the file cannot be read, is larger, or is a pipe (which may block) or a device (which may be endless).
    """
    try:
        state = os.stat(path)
        if not (
            stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode)
        ):  # for a folder, the system raises the error
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
    """Open and close a file, to get the error that another library would hide.

    Raises:
        OSError: the file cannot be opened.
    """
    with open(path, "rb"):
        pass


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        OSError: the file cannot be read (:func:`read_bounded`).
        ValueError: the content is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(read_bounded(path, MOST_JSON).decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deep") from None
