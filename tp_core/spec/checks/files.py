"""Checks that the files named in a spec exist and are not empty."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from tp_core.files.bounded_reads import kind_of
from tp_core.spec.patterns import Match, base_of, brace_count, braces, has_pattern, matches
from tp_core.suggest import instead

_HUB = "hf://"

#: Maximum number of paths that the braces of one pattern expand to.
MOST_PATHS = 100_000


def is_address(path: str) -> bool:
    """True for a remote address: ``https://...``, ``s3://...``, ``hf://...``."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", path) is not None


def expand(paths: str | list[str]) -> list[str]:
    """Paths with expanded patterns: braces in their order, other matches sorted.

    A pattern without matches stays unchanged, and so does an existing file whose name contains pattern characters. The
    matches of a pattern are :class:`~tp_core.spec.patterns.Match` objects.
    """
    found: list[str] = []
    for path in [paths] if isinstance(paths, str) else paths:
        if is_address(path) or not has_pattern(path) or os.path.lexists(path):
            found.append(path)
            continue
        if brace_count(path) > MOST_PATHS:
            found.append(path)
            continue
        base = base_of(path)
        for pattern in braces(path):
            found += [Match(each, base) for each in matches(pattern)] or [pattern]
    return found


def unusable(path: str) -> str:
    """The reason why a file or folder cannot be read; empty if it can."""
    if path.startswith(_HUB):
        return ""
    file = Path(path)
    if not is_address(path) and file.absolute() == file.absolute().parent:
        return f"{path} is the root of the file system; expected a file, or a folder of data"
    try:
        if not file.exists():
            return _no_match(path) if has_pattern(path) and not is_address(path) else missing(path)
        if why := no_file(path):
            return why
        if file.is_file() and file.stat().st_size == 0:
            return f"the file {path} is empty"
        if file.is_dir() and not any(file.iterdir()):
            return f"the folder {path} is empty"
    except (OSError, ValueError) as error:
        return f"{path} cannot be read: {getattr(error, 'strerror', None) or error}"
    return "" if os.access(file, os.R_OK) else f"the file {path} cannot be read"


def _no_match(path: str) -> str:
    count = brace_count(path)
    if count > MOST_PATHS:
        return f"the braces of {path} stand for {count:,} paths; at most {MOST_PATHS:,} are read"
    return f"no file matches {path}"


def no_file(path: str) -> str:
    """The reason why a path is not a file or folder; empty if it is one.

    A named pipe is refused, since opening it may block forever.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        absent = isinstance(error, (FileNotFoundError, NotADirectoryError, ValueError))
        return missing(path) if absent else f"{path} cannot be read: {getattr(error, 'strerror', None) or error}"
    return "" if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else f"{path} is {kind_of(mode)}; expected a file"


def no_folder(path: str) -> str:
    """The reason why a folder cannot be created or written at this path; empty if it can."""
    if is_address(path):
        return _not_here(path)
    above = Path(path)
    try:
        while not os.path.lexists(above) and above != above.parent:
            above = above.parent
        mode = os.stat(above).st_mode
    except (OSError, ValueError) as error:
        return f"{above} cannot be read: {getattr(error, 'strerror', None) or error}"
    if not stat.S_ISDIR(mode):
        return f"{above} is {'a file' if stat.S_ISREG(mode) else kind_of(mode)}; expected a folder"
    return "" if os.access(above, os.W_OK | os.X_OK) else f"the folder {above} cannot be written"


def _not_here(path: str) -> str:
    return f"{path} is not on this machine, and only files that are can be read: copy it here, and name that file"


def missing(path: str) -> str:
    """The message for a missing file, with a suggestion."""
    if is_address(path):
        return _not_here(path)
    return f"there is no file {path}{instead(path)}"
