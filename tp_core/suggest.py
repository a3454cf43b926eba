"""Near matches for names that were not found."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from tp_core.errors import system_error


def nearest(name: str, candidates: Iterable[str], likeness: float = 0.6) -> str | None:
    """The candidate that is most like ``name``, or None when none is.

    Args:
        likeness: of letters, from 0 to 1, that is enough.
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
    """The end of a message that a path is not there: where its link leads, or the nearest name beside it; or nothing.

    Raises:
        TPError: it may be there, and the system does not let us see.
    """
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last for a name with a null character
        pass
    except OSError as error:
        raise system_error(error, path) from error
    if os.path.islink(path):
        return f"; it is a link to {os.readlink(path)}, which is not there"
    near = near_file(Path(path))
    return f"; did you mean '{near}'?" if near else ""


def near_file(path: Path) -> str | None:
    """The name in the path's folder that is most like the path's own, or None."""
    try:
        return nearest(path.name, [other.name for other in path.parent.iterdir()])
    except OSError:
        return None
