"""``changes.jsonl`` of a run's folder: what was changed between its steps. Torch-free."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tp_core.training.changes import Change
from tp_core.whole_files import write_whole

CHANGES = "changes.jsonl"


def record_changes(run: Path, step: int, changes: Iterable[Change]) -> None:
    """Note that the steps from ``step`` on are computed otherwise; what was noted for these steps is void.

    Args:
        step: the steps that are done and stay: those of the checkpoint that the run goes on from.
        changes: the differences from what that checkpoint was computed with.
    """
    path = run / CHANGES
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            if json.loads(line)["step"] < step:
                kept.append(line)
        except (ValueError, KeyError, TypeError):
            continue
    new = [json.dumps({"step": step, "option": each.option, "old": each.old, "new": each.new}) for each in changes]
    if kept or new:
        write_whole(path, "".join(f"{line}\n" for line in [*kept, *new]))
    else:
        path.unlink(missing_ok=True)
