"""Failures of checkpoints that are written in the background."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from tp_core.errors import CheckpointError
from tp_core.processes.group import ProcessGroup
from tp_core.spec.sections.train import TrainOptions
from tp_core.training.checkpoints import Checkpoints
from tp_core.training.saving import Saving
from tp_core.training.strategies.snapshot import Snapshot


def full(folder: Path) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", str(folder))


def some(folder: Path) -> None:
    (folder / "state.json").write_text("{}")


def test_a_checkpoint_that_failed_is_not_the_newest_and_its_step_can_be_written_again(tmp_path: Path) -> None:
    processes = ProcessGroup()
    checkpoints = Checkpoints(tmp_path, TrainOptions(steps=9), processes, print)

    def saving(step: int, write: Callable[[Path], None]) -> Saving:
        return Saving(checkpoints.store, step, None, Snapshot({}, {}), write, processes)

    checkpoints.write(saving(1, some), background=True)
    checkpoints.complete()
    assert checkpoints.newest == tmp_path / "step_000001"
    failing = saving(2, full)
    checkpoints.write(failing, background=True)
    with pytest.raises(CheckpointError, match="No space left"):
        failing.wait()
    with pytest.raises(CheckpointError, match="No space left"):
        checkpoints.check()
    with pytest.raises(CheckpointError, match="No space left"):
        checkpoints.complete()
    assert not checkpoints.has(2)
    assert checkpoints.newest == tmp_path / "step_000001"
    assert [each.name for each in tmp_path.iterdir()] == ["step_000001"]
    checkpoints.write(saving(2, some), background=True)
    checkpoints.complete()
    assert checkpoints.newest == tmp_path / "step_000002"
    assert checkpoints.has(2)
