"""The folder of a sweep: its plan, and the paths of what is in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tp_core.errors import TPError
from tp_core.files.bounded_reads import read_json
from tp_core.files.whole_files import write_whole
from tp_core.sweep.checked import plain_difference
from tp_core.training.lock import LOCK

_PLAN = "sweep.json"

#: Folders of a sweep that are not of runs.
_NO_RUNS = ("logs", "out_of_fold")


class SweepFolder:
    """The folder of a sweep.

    Attributes:
        path: the folder, which has a folder for each run.
        results: path of the table of runs, without its ending.
        summary: path of the table of combinations.
        trials: path of the file with the values that were drawn.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.results, self.summary = path / "results", path / "summary.tsv"
        self.trials = path / "trials.jsonl"

    def log(self, name: str) -> Path:
        """The path of what a run says."""
        return self.path / "logs" / f"{name}.log"

    def out_of_fold(self, group: str) -> Path:
        """The path of the predictions for held-out records, without its ending."""
        return self.path / "out_of_fold" / (group or "all")

    def check(self, plan: dict[str, Any], resume: bool) -> None:
        """Check that a sweep may start, or go on, here; writes nothing.

        Raises:
            TPError: the folder holds something else, or another sweep.
        """
        if self.path.exists() and not self.path.is_dir():
            raise TPError(f"{self.path}: this is a file; a sweep needs a folder (--run FOLDER)")
        other = "choose another with --run FOLDER"
        file = self.path / _PLAN
        if not file.exists():
            if self.path.exists() and any(each.name != LOCK for each in self.path.iterdir()):
                raise TPError(f"{self.path}: this folder is not empty and holds no sweep; {other}")
            return
        if not resume:
            raise TPError(f"{self.path}: this folder already holds a sweep; continue it with --resume, or {other}")
        try:
            before = read_json(file)
        except (OSError, ValueError) as error:
            raise TPError(f"{file}: cannot be read as the plan of a sweep ({error}); {other}") from error
        if difference := plain_difference(before, json.loads(json.dumps(plan))):
            of_data = difference.startswith(("data.", "folds.division"))
            if of_data and not self._has_begun():
                return  # the data were corrected after all runs had failed because of them
            what = "the data have changed since it began" if of_data else f"{difference.removeprefix('spec.')} differs"
            raise TPError(f"{self.path}: this folder holds another sweep ({what}); {other}")

    def _has_begun(self) -> bool:
        """True if a run has begun to train, so that its folder holds more than its lock."""
        own = [each for each in self.path.iterdir() if each.is_dir() and each.name not in _NO_RUNS]
        return any(inner.name != LOCK for each in own for inner in each.iterdir())

    def write(self, plan: dict[str, Any]) -> None:
        """Make the folder, and write the plan if it is not there or has changed."""
        (self.path / "logs").mkdir(parents=True, exist_ok=True)
        file, text = self.path / _PLAN, json.dumps(plan, indent=1, ensure_ascii=False)
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            write_whole(file, text)
