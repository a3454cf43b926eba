"""``metrics.jsonl``, the file with the figures of a run."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tp_core.errors import naming
from tp_core.files.whole_files import write_whole
from tp_core.metrics.plain import as_json


class MetricsFile:
    """``metrics.jsonl``: one JSON object per log step and one per evaluation.

    Attributes:
        unwritten: lines that the system failed to write; :meth:`cut` writes them on resume.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unwritten: list[str] = []

    def cut(self, step: int, evaluated: bool = True, say: Callable[[str], None] = lambda _: None) -> None:
        """Remove lines after ``step``, and a line that a crash left incomplete.

        Other lines that are not figures of a run are moved to a separate file and reported.

        Args:
            evaluated: True to keep the evaluation after ``step``; otherwise it is repeated.
        """
        try:
            text = self.path.read_bytes().decode("utf-8", "surrogateescape")
        except FileNotFoundError:
            if not self.unwritten:
                return
            text = ""
        lines = text.split("\n")
        half = lines.pop()  # empty if the last line is complete
        lines += [line for line in self.unwritten if line not in lines and line != half]
        kept, strange = [], []
        for number, line in enumerate(lines, 1):
            place = _step_of(line)
            if place is None:
                strange.append((number, line))
            elif place[0] < step or (place[0] == step and (evaluated or not place[1])):
                kept.append(line)
        if (place := _step_of(half)) and place[0] <= step and (evaluated or not place[1]):
            kept.append(half)  # only its line end was missing
        if strange:
            self._set_aside([line for _, line in strange])
            numbers = ", ".join(str(number) for number, _ in strange[:5])
            more = f" and {len(strange) - 5} more" if len(strange) > 5 else ""
            say(f"{self.path}: not the figures of a run in line {numbers}{more}; moved to {self.damaged}")
        write_whole(self.path, "".join(f"{line}\n" for line in kept))
        self.unwritten = []

    @property
    def damaged(self) -> Path:
        """The file for lines that are not figures of a run."""
        return self.path.with_name(f"{self.path.stem}.damaged.txt")

    def _set_aside(self, lines: list[str]) -> None:
        with open(self.damaged, "ab") as file:
            file.write("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
            file.flush()
            os.fsync(file.fileno())

    def write(self, values: dict[str, Any]) -> None:
        """Append a line. Non-finite values, which JSON does not have, are written as null."""
        line = as_json(values)
        self.unwritten.append(line)
        with naming(self.path), open(self.path, "a", encoding="utf-8") as file:
            file.write(f"{line}\n")
        self.unwritten.clear()


def last_figures(path: Path) -> dict[str, float]:
    """The last value of each figure in a ``metrics.jsonl``, NaN if it was not finite; empty if there is no file."""
    found: dict[str, float] = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return found
    for line in lines:
        if _step_of(line) is not None:
            found |= {name: math.nan if value is None else value for name, value in json.loads(line).items()}
    return found


def _step_of(line: str) -> tuple[int, bool] | None:
    """(step, True for an evaluation) of a line; None for a line that is not a figure of a run."""
    try:
        values = json.loads(line)
        return int(values["step"]), any(name.startswith("eval/") for name in values)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
