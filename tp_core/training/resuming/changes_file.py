"""``changes.jsonl`` in a run's folder: options that changed during the run, with the step. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tp_core.files.whole_files import write_whole
from tp_core.training.resuming.changes import Change
from tp_core.training.step_lines import as_lines, lines_before

CHANGES = "changes.jsonl"


def record_changes(run: Path, step: int, changes: Iterable[Change]) -> None:
    """Record changes that apply from ``step`` on; earlier records for these steps are removed.

    Args:
        step: number of finished steps in the checkpoint from which the run resumes.
        changes: the differences from the options with which the checkpoint was computed.
    """
    path = run / CHANGES
    new = [{"step": step, "option": each.option, "old": each.old, "new": each.new} for each in changes]
    if lines := [*lines_before(path, step), *new]:
        write_whole(path, as_lines(lines))
    else:
        path.unlink(missing_ok=True)
