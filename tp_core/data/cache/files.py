"""The files in a folder of prepared data: their sizes, their last uses, and their deletion. Torch-free."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tp_core.data.cache.digest_cache import MEMO
from tp_core.errors import TPError

#: Pattern of the key in the names of all files that belong to one set of prepared rows.
_KEY = re.compile(r"(?<![0-9a-z])[0-9a-f]{32}(?![0-9a-z])")

#: Maximum age in seconds of an unfinished file that a process may still be writing.
_AT_WORK = 3600.0

_TIMES = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


@dataclass(frozen=True)
class Kept:
    """A set of prepared rows with its additional files, or the digest cache.

    Attributes:
        name: key of the rows, or name of the file.
        files: all its files.
        size: size in bytes.
        used: time of the last read or write, in seconds since the epoch. Many systems record reads only once a day,
            some not at all.
        whole: False if its preparation has not finished.
    """

    name: str
    files: tuple[Path, ...]
    size: int
    used: float
    whole: bool = True

    def at_work(self) -> bool:
        """True if a preparation may be writing it now."""
        return not self.whole and time.time() - self.used < _AT_WORK

    def remove(self) -> None:
        """Delete the files, the main file first.

        Raises:
            TPError: a file cannot be deleted.
        """
        for file in sorted(self.files, key=lambda each: each.suffix != ".arrow"):
            try:
                file.unlink(missing_ok=True)
            except OSError as error:
                raise TPError(f"{file}: cannot be deleted: {error.strerror}") from error


def kept(folder: Path) -> list[Kept]:
    """The prepared data in a folder, the least recently used first. Other files are ignored.

    A folder that does not exist has no prepared data.

    Raises:
        TPError: the folder cannot be read.
    """
    groups: dict[tuple[str, bool], list[tuple[Path, os.stat_result]]] = {}
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise TPError(f"{folder}: cannot be read: {error.strerror}") from error
    for name in names:
        key = _KEY.search(name)
        if key is None and not name.startswith(MEMO):
            continue
        with contextlib.suppress(FileNotFoundError):  # another process has deleted it
            state = (folder / name).lstat()
            if stat.S_ISREG(state.st_mode):
                group = (key[0] if key else MEMO, not name.startswith("."))
                groups.setdefault(group, []).append((folder / name, state))
    found = []
    for (name, whole), members in groups.items():
        size = sum(state.st_size for _, state in members)
        used = max(max(state.st_atime, state.st_mtime) for _, state in members)
        found.append(Kept(name, tuple(path for path, _ in members), size, used, whole))
    return sorted(found, key=lambda each: each.used)


def unexpected(found: Iterable[Kept], age: float | None, size: int | None) -> list[Kept]:
    """The prepared data to remove, the least recently used first. Data that a process may be writing are left out.

    Args:
        found: the result of :func:`kept`.
        age: maximum time since the last use, in seconds; data that were not used for longer are removed.
        size: maximum total size in bytes; surplus data are removed.
    """
    every = [each for each in found if not each.at_work()]
    if age is None and size is None:
        return every
    old = [] if age is None else [each for each in every if time.time() - each.used > age]
    left = sum(each.size for each in every) - sum(each.size for each in old)
    gone = list(old)
    for each in every:
        if size is None or left <= size:
            break
        if each not in old:
            gone.append(each)
            left -= each.size
    return gone


def parse_age(text: str) -> float:
    """Parse an age such as ``12h``, ``30d`` or ``2w`` into seconds.

    Raises:
        TPError: the text is not an age.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([smhdw])", text.strip().lower())
    if found is None:
        raise TPError(f"'{text}' is no age; expected a number with a unit, such as 12h, 30d or 2w")
    return float(found[1]) * _TIMES[found[2]]
