"""Atomic checkpoints.

A checkpoint is written under a temporary name and flushed. Its manifest, with the size and digest of every file, is
written last. Then the folder is renamed. Remains of a crash have no manifest and are never mistaken for a checkpoint.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tp_core.data.cache.manifest import damage, write_manifest
from tp_core.errors import CheckpointError, TPError
from tp_core.files.whole_files import clear, remove, replace_folder, sync, temporary_name

_PREFIX = "step_"


def step_of(folder: Path) -> int:
    """The step in a checkpoint folder's name; -1 if the name has another form."""
    number = folder.name.removeprefix(_PREFIX)
    return int(number) if folder.name.startswith(_PREFIX) and number.isdigit() else -1


def _reason(error: BaseException) -> str:
    """The reason why a file could not be written; the system's reason if torch wraps it in its own error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error)


class CheckpointStore:
    """The checkpoints of one run.

    Args:
        folder: ``checkpoints/`` of the run.
        keep: number of newest valid checkpoints to keep.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder, self.keep = folder, keep

    def all(self) -> list[Path]:
        """Checkpoint folders, oldest first, including damaged ones."""
        if not self.folder.is_dir():
            return []
        return sorted((f for f in self.folder.iterdir() if step_of(f) >= 0), key=step_of)

    def clean(self, protect: int | None = None) -> None:
        """Remove the remains of interrupted saves: partial checkpoints, and those replaced by newer ones.

        Only the process that holds the run's lock may call this.

        Args:
            protect: as for :meth:`save`.
        """
        clear(self.folder, owned=True)
        self._retire(None, protect)

    def newest(self, say: Callable[[str], None] = lambda _: None) -> Path | None:
        """The newest undamaged checkpoint; reports damaged ones that were skipped.

        Raises:
            TPError: a checkpoint cannot be read now, but may be undamaged.
        """
        for folder in reversed(self.all()):
            problem = damage(folder)
            if problem is None:
                return folder
            say(f"checkpoint {folder.name} is damaged ({problem}) and is passed over")
        return None

    def path(self, step: int) -> Path:
        return self.folder / f"{_PREFIX}{step:06d}"

    def save(self, step: int, write: Callable[[Path], None], protect: int | None = None) -> Path:
        """Write one checkpoint and remove old ones.

        Args:
            write: writes the files into the folder that it is given.
            protect: step of a checkpoint that is kept regardless of its age, such as the best one.

        Raises:
            CheckpointError: the checkpoint could not be written; earlier ones are unchanged.
        """
        temporary = self.begin(step)
        try:
            write(temporary)
        except Exception as error:  # torch and safetensors report a full disk in different ways
            raise self.failed(step, temporary, error) from error
        return self.complete(step, temporary, protect)

    def begin(self, step: int) -> Path:
        """Make a temporary folder for the files of a checkpoint; :meth:`complete` gives it its name.

        Raises:
            CheckpointError: it could not be made.
        """
        temporary = temporary_name(self.path(step))
        try:
            self.folder.mkdir(exist_ok=True)  # the run's folder itself is not recreated if it was moved
            temporary.mkdir()
        except OSError as error:
            raise self.failed(step, temporary, error) from error
        return temporary

    def complete(self, step: int, temporary: Path, protect: int | None = None) -> Path:
        """Write the manifest of a temporary folder, give the folder its name, and remove old checkpoints.

        Args:
            protect: as for :meth:`save`.

        Raises:
            CheckpointError: the checkpoint could not be written; earlier ones are unchanged.
        """
        final = self.path(step)
        try:
            write_manifest(temporary, step=step)
            replace_folder(temporary, final)  # replaces an older checkpoint of the same step
        except Exception as error:
            raise self.failed(step, temporary, error) from error
        self._retire(final, protect)
        return final

    def failed(self, step: int, temporary: Path, error: BaseException) -> CheckpointError:
        """The error for a checkpoint that could not be written; its temporary folder is removed."""
        remove(temporary)
        return CheckpointError(f"{self.path(step)}: cannot be written: {_reason(error)}; {self._before()}")

    def _before(self) -> str:
        """A description of the newest checkpoint."""
        try:
            before = self.newest()
        except TPError as error:
            return f"those before it are as they were ({error})"
        return f"the checkpoint before it, {before.name}, is whole" if before else "there is none before it"

    def _retire(self, written: Path | None, protect: int | None) -> None:
        """Remove all but the newest valid checkpoints. Damaged ones do not count towards the number to keep."""
        candidates = [folder for folder in reversed(self.all()) if step_of(folder) != protect]
        if len(candidates) <= self.keep:
            return
        valid = 0
        for folder in candidates:
            if valid >= self.keep:
                gone = temporary_name(folder)
                try:
                    os.rename(folder, gone)  # so that a half-removed checkpoint is not taken for a checkpoint
                except OSError:
                    continue
                remove(gone)
            elif folder == written or _is_whole(folder):
                valid += 1
        sync(self.folder)


def _is_whole(folder: Path) -> bool:
    """True for a checkpoint that is known to be undamaged."""
    try:
        return damage(folder) is None
    except TPError:
        return False
