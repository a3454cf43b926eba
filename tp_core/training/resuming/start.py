"""The start of a run: from the first step, or from a checkpoint, possibly with changed options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tp_core.artifacts.checkpoint import CheckpointStore
from tp_core.errors import CheckpointError, TPError
from tp_core.spec.schema import Spec
from tp_core.training.folder import RunFolder
from tp_core.training.resuming.changes import (
    Change,
    check_keys,
    checked_changes,
    compared,
    in_order,
    path_options,
    without_effect,
)
from tp_core.training.resuming.rules import rule_of
from tp_core.training.state import read_state
from tp_core.training.strategies.base import Strategy


@dataclass(frozen=True)
class Start:
    """The starting point of a run: its first step, or a checkpoint.

    Attributes:
        checkpoint: folder of the checkpoint; None at the first step.
        state: state returned by :func:`tp_core.training.state.read_state`.
        changes: differences from the options of the checkpoint, which the user allowed.
        idle: options that changed without an effect.
    """

    checkpoint: Path | None = None
    state: dict[str, Any] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    idle: tuple[Change, ...] = ()

    @property
    def step(self) -> int:
        """Number of finished steps."""
        return int(self.state.get("step", 0))

    def notes(self) -> list[str]:
        """Notes on changes for the user, one line each."""
        lines = [f"{each}: {rule_of(each.option).note}" for each in self.idle]
        if self.changes:
            lines.append(f"from step {self.step} on, the run is no longer that of an uninterrupted one:")
            lines += [f"  {each}: {_effect(each)}" for each in self.changes]
        return lines


def find_start(folder: RunFolder, strategy: Strategy, resume: bool, say: Callable[[str], None]) -> Start:
    """The newest undamaged checkpoint of a run to resume, as seen by the first process; otherwise the first step.

    Raises:
        CheckpointError: there are checkpoints, but all are damaged.
    """
    if not resume:
        return Start()
    store = CheckpointStore(folder.path / "checkpoints")
    newest = store.newest(say) if strategy.rank == 0 else None
    name = strategy.processes.from_first(None if newest is None else newest.name)
    if name is not None:
        checkpoint = store.folder / name
        if not checkpoint.is_dir():
            message = f"rank {strategy.rank} does not see this checkpoint, which rank 0 has found"
            raise CheckpointError(f"{checkpoint}: {message}; all processes need the run's folder (--run DIR)")
        return Start(checkpoint, read_state(checkpoint))
    if store.all():
        raise CheckpointError(f"{store.folder}: no checkpoint is whole; start another run with --run DIR")
    return Start()


def with_changes(start: Start, folder: RunFolder, spec: Spec, strategy: Strategy, allowed: Sequence[str]) -> Start:
    """Add the options that differ from the checkpoint's. At the first step of a run, nothing differs.

    Raises:
        TPError: an option changed that cannot change, or that the user did not allow to change.
    """
    now = compared(spec)
    if start.checkpoint is None:
        check_keys(now, allowed)
        return start
    newest = folder.newest_spec()
    newest = None if newest is None else in_order(newest)
    try:
        changes = checked_changes(now, start.state["spec"], newest, allowed, path_options(spec))
    except TPError as error:
        raise TPError(f"{start.checkpoint}: {error}") from None
    machine = {"processes": strategy.world_size, "device type": strategy.device.type}
    before = {"processes": start.state["processes"], "device type": start.state["device"]}
    changes += [Change(name, before[name], machine[name]) for name in machine if before[name] != machine[name]]
    return Start(start.checkpoint, start.state, tuple(changes), tuple(without_effect(now, newest)))


def _effect(change: Change) -> str:
    try:
        return rule_of(change.option).note
    except KeyError:  # no option sets the number of processes or the device type
        return "rounding and dropout differ"
