"""Hooks for test projects: the process kills itself at the moment that ``death.json`` in the current folder names.

The file is ``[event, number]``, or ``[event, number, rank]`` for one of several processes. It is gone once that process
has read it, so that the next one lives:

- ``["step_end", 7]``: after step 7, before anything of it is saved
- ``["save", 10]``: when the checkpoint of step 10 is about to be written
- ``["file", 3]``: before the third change to a file in the first checkpoint that the process writes
- ``["any file", 20]``: before the twentieth change to any file
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, ClassVar

from tp_core.hookspecs import hookimpl
from tp_core.options.hooks import HooksConfig

_CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}


class Config(HooksConfig):
    """Kill the process at a chosen moment."""

    observes: ClassVar[bool] = True

    def build(self) -> object:
        return SuddenDeath()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class SuddenDeath:
    def __init__(self) -> None:
        plan = Path("death.json")
        self.event: str
        self.number: int
        self.event, self.number = "never", 0
        with contextlib.suppress(FileNotFoundError):  # another process may have read it
            event, number, *ranks = json.loads(plan.read_text())
            if not ranks or ranks == [int(os.environ.get("RANK", 0))]:
                self.event, self.number = event, number
                plan.unlink()
        self.changes = 0
        self.saves = 0
        if "file" in self.event:
            self._watch_files()

    def _watch_files(self) -> None:
        flush = os.fsync

        def watched_flush(fd: Any) -> None:
            self._change()
            flush(fd)

        def audit(event: str, arguments: tuple[Any, ...]) -> None:
            writes = event == "open" and isinstance(arguments[1], str) and arguments[1][0] in "wax"
            if event in _CHANGES or writes:
                self._change()

        os.fsync = watched_flush
        sys.addaudithook(audit)

    def _change(self) -> None:
        if self.event == "file" and self.saves != 1:
            return
        self.changes += 1
        if self.changes == self.number:
            die()

    @hookimpl
    def tp_step_end(self, trainer: Any, step: int) -> None:
        if (self.event, self.number) == ("step_end", step):
            die()

    @hookimpl
    def tp_checkpoint_save(self, trainer: Any, state: dict[str, Any]) -> None:
        self.saves += 1
        if (self.event, self.number) == ("save", trainer.step):
            die()
