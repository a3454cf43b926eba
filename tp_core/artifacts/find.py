"""Find the model in a path: an export, a run, or one checkpoint of a run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from tp_core.artifacts.checkpoint import CheckpointStore, step_of
from tp_core.artifacts.layout import EDITABLE, STEM, WEIGHTS
from tp_core.data.cache.digest_cache import DigestCache
from tp_core.data.cache.manifest import MANIFEST, changed, damage
from tp_core.data.cache.place import user_cache
from tp_core.errors import CheckpointError, TPError
from tp_core.files.tensor_paths import is_stored, stored_at
from tp_core.suggest import instead


def find_model(path: str | os.PathLike[str], say: Callable[[str], None] = lambda _: None) -> tuple[Path, Path]:
    """The spec file and the weights for a path; their form is one of :mod:`tp_core.files.tensor_paths`.

    Args:
        path: an exported model, a run's folder (its export, else its newest undamaged checkpoint), or a checkpoint.

    Raises:
        CheckpointError: there is no model, or it is damaged.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TPError(f"expected a model as load_model gives it, or the folder of one, got {type(path).__name__}")
    folder = Path(path)
    if not folder.exists():
        raise CheckpointError(f"{folder}: there is no such folder{instead(folder)}")
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: this is a file; expected the folder of a run, of a model or of a checkpoint")
    if step_of(folder) >= 0:
        problem = damage(folder)
        if problem:
            raise CheckpointError(f"{folder}: the checkpoint is damaged: {problem}")
        return folder.parent.parent / "spec.yaml", stored_at(folder, STEM)
    for candidate in (folder, folder / "model"):
        if is_stored(candidate, STEM) and (candidate / "spec.yaml").is_file():
            _need_whole(candidate, say)
            return candidate / "spec.yaml", stored_at(candidate, STEM)
    newest = CheckpointStore(folder / "checkpoints").newest(say)
    if newest is not None:
        say(f"{folder} has no export yet; using its newest checkpoint, {newest.name}")
        return folder / "spec.yaml", stored_at(newest, STEM)
    if (folder / "config.json").is_file():
        advice = f"tp convert --from huggingface {folder} --to tp FOLDER makes a model that tp can read"
        raise CheckpointError(f"{folder}: this is a model of Hugging Face; {advice}")
    raise CheckpointError(f"{folder}: there is no model: no {WEIGHTS} with a spec.yaml, and no checkpoint")


def _need_whole(model: Path, say: Callable[[str], None]) -> None:
    """Check an exported model against its manifest; a model that was put together by hand may have none.

    Its content is read once, and again when sizes or times say that it has changed (see
    :mod:`tp_core.data.cache.manifest`). A change of a file that people edit is reported only.

    Raises:
        CheckpointError: a file differs from the manifest.
    """
    if not (model / MANIFEST).exists():
        return
    with contextlib.ExitStack() as stack:
        digest_cache = None
        with contextlib.suppress(TPError):  # a cache folder may be impossible
            digest_cache = stack.enter_context(DigestCache(user_cache()))
        problem = damage(model, digest_cache, EDITABLE)
    if problem:
        yours = f"if the change is yours, delete {MANIFEST} there"
        raise CheckpointError(f"{model}: the model is not as it was written: {problem}; {yours}")
    if edited := changed(model, EDITABLE):
        say(f"{model}: not as it was written: {', '.join(edited)}")
