"""The checkpoints of a run: which one is the newest, when the next one is due, and its writing."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tp_core.artifacts.checkpoint import CheckpointStore
from tp_core.errors import TPError
from tp_core.processes.agreement import together
from tp_core.processes.group import ProcessGroup
from tp_core.spec.sections.train import TrainOptions
from tp_core.training.saving import Saving


class Checkpoints:
    """The checkpoints of a run, as this process sees them.

    Args:
        folder: ``checkpoints/`` of the run.
        processes: all processes of the run.
        say: prints a message for the user.

    Attributes:
        store: the folders.
        newest: newest checkpoint that this run wrote or resumed from, or None.
    """

    def __init__(
        self, folder: Path, options: TrainOptions, processes: ProcessGroup, say: Callable[[str], None]
    ) -> None:
        self.store = CheckpointStore(folder, options.keep_checkpoints)
        self.newest: Path | None = None
        self._steps, self._seconds = options.checkpoint_interval()
        self._processes, self._say = processes, say
        self._step = -1
        self._at = time.monotonic()
        self._saving: Saving | None = None

    def begin(self) -> None:
        """Count the time to the next checkpoint from now on."""
        self._at = time.monotonic()

    def resumed(self, step: int, folder: Path) -> None:
        """Note the checkpoint from which the run goes on."""
        self._step, self.newest = step, folder

    def outdated(self) -> None:
        """Note that the newest checkpoint lacks something of its step."""
        self._step = -1

    def has(self, step: int) -> bool:
        """True if there is a checkpoint of this step, or if it is being written."""
        return self._step == step

    def due_after(self, step: int) -> bool:
        """True if the number of steps since the last checkpoint asks for one."""
        return bool(self._steps and step and step % self._steps == 0)

    def due_now(self) -> bool:
        """True if the time since the last checkpoint asks for one."""
        return self._seconds is not None and time.monotonic() - self._at >= self._seconds

    def write(self, saving: Saving, background: bool) -> None:
        """Write a checkpoint; every process calls this, once no other one is being written.

        Args:
            background: True to return while it is written.

        Raises:
            CheckpointError: it could not be written.
        """
        if background:
            saving.start()
            self._saving = saving
        else:
            saving.run()
            self.newest = saving.path
        self._step, self._at = saving.step, time.monotonic()

    def check(self) -> None:
        """Raise the error of a checkpoint that is written in the background, if there is one."""
        if self._saving is not None:
            self._saving.check()

    def complete(self) -> None:
        """Wait for a checkpoint that is written in the background. If it failed, all processes raise its error."""
        saving, self._saving = self._saving, None
        if saving is not None:
            try:
                together(self._processes, saving.wait)
            except TPError:
                self._step = -1  # the step can be written again
                raise
            self.newest = saving.path

    def end(self) -> None:
        """Wait for a checkpoint that is written in the background, after another error, which is the one to report."""
        saving, self._saving = self._saving, None
        if saving is None:
            return
        try:
            saving.wait()
            self.newest = saving.path
        except TPError as error:
            self._say(f"the state after step {saving.step} could not be saved: {error}")
