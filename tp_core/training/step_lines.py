"""JSON-lines files of a run whose entries apply from a given step on. Torch-free."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def lines_before(path: Path, step: int) -> Iterator[dict[str, Any]]:
    """The entries for steps before ``step``. The resumed run writes later ones again; invalid lines are skipped."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            found = json.loads(line)
            if found["step"] < step:
                yield found
        except (ValueError, KeyError, TypeError):
            continue


def as_lines(objects: list[dict[str, Any]]) -> str:
    """The objects as JSON lines."""
    return "".join(f"{json.dumps(each)}\n" for each in objects)
