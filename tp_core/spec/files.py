"""Whether the files that a spec names are there and hold something."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from tp_core.suggest import near_file


def expand(paths: str | list[str]) -> list[str]:
    """Paths with globs expanded, sorted; a pattern that matches nothing stays as it is."""
    found: list[str] = []
    for path in [paths] if isinstance(paths, str) else paths:
        matches = sorted(glob.glob(path)) if glob.has_magic(path) and not path.startswith("hf://") else []
        found += matches or [path]
    return found


def unusable(path: str) -> str:
    """Why nothing can be read from a file or folder, or an empty string."""
    if path.startswith("hf://"):
        return ""
    file = Path(path)
    if not file.exists():
        return f"no file matches {path}" if glob.has_magic(path) else missing(path)
    if file.is_file() and file.stat().st_size == 0:
        return f"the file {path} is empty"
    if file.is_dir() and not any(file.iterdir()):
        return f"the folder {path} is empty"
    return "" if os.access(file, os.R_OK) else f"the file {path} cannot be read"


def missing(path: str) -> str:
    """The message for a file that is not there, with the nearest that is."""
    near = near_file(Path(path))
    return f"there is no file {path}" + (f"; did you mean '{near}'?" if near else "")
