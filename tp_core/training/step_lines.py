"""Files of a run with a JSON object on each line that says from which step on it holds. Torch-free."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def lines_before(path: Path, step: int) -> Iterator[dict[str, Any]]:
    """The lines of the steps before ``step``, as those from there on are made again; other lines are left out."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            found = json.loads(line)
            if found["step"] < step:
                yield found
        except (ValueError, KeyError, TypeError):
            continue


def as_lines(objects: list[dict[str, Any]]) -> str:
    """The text of such a file."""
    return "".join(f"{json.dumps(each)}\n" for each in objects)
