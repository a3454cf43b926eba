"""The spec of a trained model, read from its folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tp_core.artifacts.contents import changed_since
from tp_core.artifacts.find import find_model
from tp_core.spec.schema import Spec
from tp_core.spec.trained.load_for_use import load_for_use
from tp_core.spec.trained.provenance import other_versions


def find_spec(path: str | os.PathLike[str], say: Callable[[str], None] = lambda _: None) -> tuple[Spec, str, Path]:
    """The spec and the weights file for a path, and the files that have changed since training.

    Changed files are reported, and so are packages whose major version differs from the one used in training.

    Returns:
        The spec, a description of changed files, and the weights file. Runs and checkpoints refer to external files,
        which may have changed; the description is empty if none has.

    Raises:
        TPError: there is no model, or its spec cannot be loaded.
    """
    spec_file, weights = find_model(path, say)
    return *read_spec(spec_file, weights, say), weights


def read_spec(spec_file: Path, weights: Path, say: Callable[[str], None]) -> tuple[Spec, str]:
    """The spec and changes as for :func:`find_spec`, from files that :func:`find_model` has found."""
    spec = load_for_use(spec_file)
    for note in other_versions(spec_file.parent):
        say(note)
    other = changed_since(spec, weights.parent)
    if other:
        say(f"{weights.parent}: since the model was trained, files that it reads have changed: {other}")
    return spec, other
