"""Near matches for names that were not found."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


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


def near_file(path: Path) -> str | None:
    """The name in the path's folder that is most like the path's own, or None."""
    try:
        return nearest(path.name, [other.name for other in path.parent.iterdir()])
    except OSError:
        return None
