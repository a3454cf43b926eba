"""Checkpoints that are whole or not there.

A checkpoint is written under a temporary name and flushed; its manifest, with the size and digest of every file, is
written last; then the folder is renamed. What a crash leaves behind has no manifest and is never mistaken for one.
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
    """The step in a checkpoint folder's name; -1 if it is no such name."""
    number = folder.name.removeprefix(_PREFIX)
    return int(number) if folder.name.startswith(_PREFIX) and number.isdigit() else -1


def _reason(error: BaseException) -> str:
    """The reason why a file could not be written: the system's reason, if torch hides it behind an error of its own."""
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
        keep: number of newest valid checkpoints that stay.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder, self.keep = folder, keep

    def all(self) -> list[Path]:
        """Checkpoint folders, oldest first, damaged ones included."""
        if not self.folder.is_dir():
            return []
        return sorted((f for f in self.folder.iterdir() if step_of(f) >= 0), key=step_of)

    def clean(self, protect: int | None = None) -> None:
        """Remove what interrupted saves left behind: halves, and checkpoints that newer ones have replaced.

        Only the process that has the run's lock may do this.

        Args:
            protect: as of :meth:`save`.
        """
        clear(self.folder, owned=True)
        self._retire(None, protect)

    def newest(self, say: Callable[[str], None] = lambda _: None) -> Path | None:
        """The newest checkpoint that is whole; says which damaged ones were passed over.

        Raises:
            TPError: one cannot be read now, and may be whole.
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
            write: fills the folder it is given.
            protect: step of a checkpoint that stays whatever its age, the best one for example.

        Raises:
            CheckpointError: it could not be written; the earlier ones are as they were.
        """
        final = self.path(step)
        temporary = temporary_name(final)
        try:
            self.folder.mkdir(exist_ok=True)  # in the run's folder, which is not made again where it has been moved
            temporary.mkdir()
            write(temporary)
            write_manifest(temporary, step=step)
            replace_folder(temporary, final)  # the same step, written before a crash or damaged since, gives way
        except Exception as error:  # torch and safetensors report a full disk each in their own way
            remove(temporary)
            raise CheckpointError(f"{final}: cannot be written: {_reason(error)}; {self._before()}") from error
        self._retire(final, protect)
        return final

    def _before(self) -> str:
        """The newest checkpoint, in words."""
        try:
            before = self.newest()
        except TPError as error:
            return f"those before it are as they were ({error})"
        return f"the checkpoint before it, {before.name}, is whole" if before else "there is none before it"

    def _retire(self, written: Path | None, protect: int | None) -> None:
        """Remove all but the newest valid checkpoints; a damaged one never takes the place of a valid one."""
        candidates = [folder for folder in reversed(self.all()) if step_of(folder) != protect]
        if len(candidates) <= self.keep:
            return
        valid = 0
        for folder in candidates:
            if valid >= self.keep:
                gone = temporary_name(folder)
                try:
                    os.rename(folder, gone)  # a half-removed checkpoint is no checkpoint
                except OSError:
                    continue
                remove(gone)
            elif folder == written or _is_whole(folder):
                valid += 1
        sync(self.folder)


def _is_whole(folder: Path) -> bool:
    """True for a checkpoint that is known to be whole."""
    try:
        return damage(folder) is None
    except TPError:
        return False
