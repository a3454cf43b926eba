"""``changes.jsonl`` of a run's folder: what was changed between its steps. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tp_core.files.whole_files import write_whole
from tp_core.training.resuming.changes import Change
from tp_core.training.step_lines import as_lines, lines_before

CHANGES = "changes.jsonl"


def record_changes(run: Path, step: int, changes: Iterable[Change]) -> None:
    """Note that the steps from ``step`` on are computed otherwise; what was noted for these steps is void.

    Args:
        step: the steps that are done and stay: those of the checkpoint that the run goes on from.
        changes: the differences from what that checkpoint was computed with.
    """
    path = run / CHANGES
    new = [{"step": step, "option": each.option, "old": each.old, "new": each.new} for each in changes]
    if lines := [*lines_before(path, step), *new]:
        write_whole(path, as_lines(lines))
    else:
        path.unlink(missing_ok=True)
