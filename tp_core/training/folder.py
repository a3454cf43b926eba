"""A run's folder: checks before a run uses it, and cleanup after a failed start."""

from __future__ import annotations

import contextlib
import json
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tp_core.errors import TPError
from tp_core.files.bounded_reads import read_json
from tp_core.files.whole_files import TEMPORARY, temporary_name, write_whole
from tp_core.spec.choices.module_nodes import all_modules
from tp_core.spec.schema import Spec
from tp_core.spec.trained.portable import dump_by_names
from tp_core.spec.trained.provenance import write_provenance
from tp_core.training.lock import LOCK, RunLock

#: Files and folders that only a run's folder has.
_MARKS = ("spec.yaml", "checkpoints", "metrics.jsonl", "model")


class RunFolder:
    """A run's folder. Only one process at a time writes to it.

    Attributes:
        path: the folder.
        new: True if the folder was taken for a new run.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.new = path, False
        self._made = False
        self._lock = RunLock()

    def check(self, resume: bool) -> None:
        """Check that a run may start or resume here; writes nothing.

        Raises:
            TPError: the folder holds another run, or something else.
        """
        for above in (self.path, *self.path.parents):
            if _is_no_folder(above):
                raise TPError(f"{above}: this is a file; a run needs a folder (--run DIR)")
        other = "choose another with --run DIR"
        if not self._holds_run():
            if any(self._things()):
                raise TPError(f"{self.path}: this folder is not empty and holds no run; {other}")
        elif not resume and self._has_checkpoint():
            raise TPError(f"{self.path}: this folder already holds a run; continue it with --resume, or {other}")
        elif not resume:
            how = "start it from the beginning with --resume"
            raise TPError(f"{self.path}: this folder already holds a run, without a checkpoint; {how}, or {other}")
        elif (self.path / "model").exists() and not self._has_checkpoint():
            raise TPError(
                f"{self.path}: this run has an exported model and no checkpoint to go on from; "
                "start another run with --run DIR, and init_from for its weights"
            )

    def try_out(self) -> None:
        """Check that the folder is writable, before anything is computed. Nothing is left there.

        Raises:
            TPError: the folder is not writable.
        """
        for more in (True, True, False):
            try:
                self._write_and_remove()
                return
            except OSError as error:
                # Another process that checks the folder may have removed it.
                if not more or not isinstance(error, FileNotFoundError):
                    raise TPError(f"{self.path}: cannot be written: {error.strerror}") from error

    def _write_and_remove(self) -> None:
        made: list[Path] = []
        try:
            for folder in reversed([self.path, *self.path.parents]):
                if not folder.is_dir():
                    folder.mkdir(exist_ok=True)
                    made.append(folder)
            file = temporary_name(self.path / LOCK)
            file.touch()
            file.unlink()
        finally:
            for folder in reversed(made):
                with contextlib.suppress(OSError):
                    folder.rmdir()

    def take(self, resume: bool) -> None:
        """Lock the folder for this process.

        Raises:
            TPError: another process trains in it, or has started a run since the check.
        """
        self._made = not self.path.exists()
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock.acquire(self.path)
        self.check(resume)
        self.new = not self._holds_run()

    def write_spec(self, spec: Spec) -> None:
        """Write the resolved spec, for people and for the next start, and the origin of its modules."""
        write_whole(self.path / "spec.yaml", spec.to_yaml())
        write_whole(self.path / "spec.json", json.dumps(dump_by_names(spec)))
        write_provenance(all_modules(spec), self.path)

    def newest_spec(self) -> dict[str, Any] | None:
        """The dumped spec of the run's newest start; None if it is missing or cannot be read."""
        try:
            found = read_json(self.path / "spec.json")
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def give_up(self) -> None:
        """Remove the files of a new run that failed before its first step, so that the folder is free again."""
        if not self.new:
            return
        self.new = False
        for each in [*self.path.iterdir()]:
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each, ignore_errors=True)
            elif each.name != LOCK:
                each.unlink(missing_ok=True)
        (self.path / LOCK).unlink(missing_ok=True)
        if self._made:
            with contextlib.suppress(OSError):  # ignore other files in it
                self.path.rmdir()

    def release(self) -> None:
        self._lock.release()

    def _holds_run(self) -> bool:
        return any((self.path / name).exists() for name in _MARKS)

    def _has_checkpoint(self) -> bool:
        return any((self.path / "checkpoints").glob("step_*"))

    def _things(self) -> Iterator[Path]:
        """The contents of the run's folder, without the remains of a start that was killed before it wrote the spec."""
        with contextlib.suppress(FileNotFoundError):  # the first process may create and remove the folder
            for each in self.path.iterdir():
                if each.name != LOCK and not each.name.startswith(TEMPORARY):
                    yield each


def _is_no_folder(path: Path) -> bool:
    """True for a file. The path is checked once, as another process may remove it between two checks."""
    try:
        return not stat.S_ISDIR(path.stat().st_mode)
    except OSError:
        return False
