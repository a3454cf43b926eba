"""Stores a run's id at a logging service, so that a resumed run continues under it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from tp_core.files.whole_files import write_whole


def kept_id(file: Path, make: Callable[[], str]) -> str:
    """The id in a file; if the file does not exist, a new id is made and written."""
    if file.is_file() and (kept := file.read_text(encoding="utf-8").strip()):
        return kept
    made = make()
    write_whole(file, f"{made}\n")
    return made


def new_id() -> str:
    """A random id of 8 letters and digits."""
    return secrets.token_hex(4)
