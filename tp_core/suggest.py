"""Suggestions for names that were not found."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from tp_core.errors import system_error


def nearest(name: str, candidates: Iterable[str], likeness: float = 0.6) -> str | None:
    """The candidate most similar to ``name``; None if none is similar.

    Args:
        likeness: minimum similarity of the letters, from 0 to 1.
    """
    import difflib

    name, options = str(name), list(candidates)
    for option in options:
        if option.lower().replace("-", "_") == name.lower().replace("-", "_"):
            return option
    close = difflib.get_close_matches(name, options, n=1, cutoff=likeness)
    return close[0] if close else None


def did_you_mean(name: str, candidates: Iterable[str], likeness: float = 0.6) -> str:
    """``did you mean '…'?``, or an empty string."""
    match = nearest(name, candidates, likeness)
    return f"did you mean '{match}'?" if match else ""


def instead(path: str | Path) -> str:
    """The end of a message about a missing path: the target of a broken link, or the nearest name; or an empty string.

    Raises:
        TPError: the path may exist, but the system denies access.
    """
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a name with a null character
        pass
    except OSError as error:
        raise system_error(error, path) from error
    if os.path.islink(path):
        return f"; it is a link to {os.readlink(path)}, which is not there"
    near = near_file(Path(path))
    return f"; did you mean '{near}'?" if near else ""


def near_file(path: Path) -> str | None:
    """The name in the path's folder that is most similar to the path's own name, or None."""
    try:
        return nearest(path.name, [other.name for other in path.parent.iterdir()])
    except OSError:
        return None
