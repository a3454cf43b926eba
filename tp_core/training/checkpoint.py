"""Checkpoints that are whole or not there.

A checkpoint is written under a temporary name and flushed; its manifest, with the size and hash of every file, is
written last; then the folder is renamed. What a crash leaves behind has no manifest and is never mistaken for one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tp_core.errors import CheckpointError

MANIFEST = "manifest.json"
_PREFIX = "step_"
_TEMPORARY = ".tmp-"


def step_of(folder: Path) -> int:
    """The step in a checkpoint folder's name; -1 if it is no such name."""
    number = folder.name.removeprefix(_PREFIX)
    return int(number) if folder.name.startswith(_PREFIX) and number.isdigit() else -1


def _hash(path: Path) -> str:
    with open(path, "rb") as file:
        digest = hashlib.blake2b(digest_size=20)
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def damage(folder: Path) -> str | None:
    """What is wrong with a checkpoint, or None when every file is as it was written."""
    try:
        files = json.loads((folder / MANIFEST).read_text())["files"]
        expected = [(str(name), int(facts["size"]), str(facts["hash"])) for name, facts in files.items()]
    except FileNotFoundError:
        return "it has no manifest"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "its manifest cannot be read"
    for name, size, digest in expected:
        path = folder / name
        try:
            found = path.stat().st_size
            if found != size:
                return f"{name} has {found} bytes instead of {size}"
            if _hash(path) != digest:
                return f"the content of {name} has changed"
        except (OSError, ValueError) as error:
            return f"{name}: {getattr(error, 'strerror', error)}"
    return None


def _reason(error: BaseException) -> str:
    """Why something could not be written: the system's reason, where torch hides it behind one of its own."""
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

    def clean(self) -> None:
        """Remove what interrupted saves left behind."""
        if self.folder.is_dir():
            for leftover in self.folder.glob(f"{_TEMPORARY}*"):
                shutil.rmtree(leftover, ignore_errors=True)

    def newest(self, say: Callable[[str], None] = lambda _: None) -> Path | None:
        """The newest checkpoint that is whole; says which damaged ones were passed over."""
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
        temporary = self.folder / f"{_TEMPORARY}{final.name}"
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            write(temporary)
            facts = {}
            for path in sorted(temporary.iterdir()):
                _sync(path)
                facts[path.name] = {"size": path.stat().st_size, "hash": _hash(path)}
            with open(temporary / MANIFEST, "w") as file:
                json.dump({"step": step, "files": facts}, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            _sync(temporary)
            if final.exists():  # the same step, written before a crash or damaged since
                shutil.rmtree(final)
            os.rename(temporary, final)
            _sync(self.folder)
        except Exception as error:  # torch and safetensors report a full disk each in their own way
            shutil.rmtree(temporary, ignore_errors=True)
            before = self.newest()
            kept = f"the checkpoint before it, {before.name}, is whole" if before else "there is none before it"
            raise CheckpointError(f"{final}: cannot be written: {_reason(error)}; {kept}") from error
        self._retire(final, protect)
        return final

    def _retire(self, written: Path, protect: int | None) -> None:
        """Remove all but the newest valid checkpoints; a damaged one never takes the place of a valid one."""
        candidates = [folder for folder in reversed(self.all()) if step_of(folder) != protect]
        if len(candidates) <= self.keep:
            return
        valid = 0
        for folder in candidates:
            if valid >= self.keep:
                # The manifest goes first, so that a half-removed checkpoint is no checkpoint.
                (folder / MANIFEST).unlink(missing_ok=True)
                shutil.rmtree(folder, ignore_errors=True)
            elif folder == written or damage(folder) is None:
                valid += 1
