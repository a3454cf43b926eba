"""The files of a folder of prepared data: how large they are, when they were used last, which may go. Torch-free."""

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

#: In the name of each file that belongs to a set of prepared rows: its key.
_KEY = re.compile(r"(?<![0-9a-z])[0-9a-f]{32}(?![0-9a-z])")

#: Seconds since its last change in which an unfinished file may be one that is being written.
_AT_WORK = 3600.0

_TIMES = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


@dataclass(frozen=True)
class Kept:
    """Prepared rows and what lies beside them, or the memory of hashed files.

    Attributes:
        name: key of the rows; or a file's name.
        files: all of it.
        size: bytes.
        used: when it was read or written last, in seconds since the epoch. Systems note the reading once a day, and
            some not at all.
        whole: False for what a preparation has begun and not ended.
    """

    name: str
    files: tuple[Path, ...]
    size: int
    used: float
    whole: bool = True

    def at_work(self) -> bool:
        """True for what a preparation may be writing now."""
        return not self.whole and time.time() - self.used < _AT_WORK

    def remove(self) -> None:
        """Delete the files; the one that stands for all of them first.

        Raises:
            TPError: one cannot be deleted.
        """
        for file in sorted(self.files, key=lambda each: each.suffix != ".arrow"):
            try:
                file.unlink(missing_ok=True)
            except OSError as error:
                raise TPError(f"{file}: cannot be deleted: {error.strerror}") from error


def kept(folder: Path) -> list[Kept]:
    """The prepared data in a folder, the least recently used first; other files in it are passed over.

    Raises:
        TPError: the folder cannot be read. One that is not there has nothing.
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
    """The prepared data to remove, the least recently used first; none that a process may be writing.

    Args:
        found: as :func:`kept` gives it.
        age: seconds since the last use; what has not been used for longer is to go.
        size: bytes that may stay; what is more is to go.
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
    """Seconds: ``12h``, ``30d``, ``2w``.

    Raises:
        TPError: it is none.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([smhdw])", text.strip().lower())
    if found is None:
        raise TPError(f"'{text}' is no age; expected a number with a unit, such as 12h, 30d or 2w")
    return float(found[1]) * _TIMES[found[2]]
