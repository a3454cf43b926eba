"""Helpers for the SPEC argument of commands: find its spec file, and test if it has its own data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tp_core.artifacts.layout import STEM
from tp_core.errors import TPError
from tp_core.files.tensor_paths import is_stored

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec


def spec_file(path: str) -> str:
    """The spec file of ``path``: the path itself, or the spec in the folder of an exported model or a run.

    Raises:
        TPError: the folder has no spec.
    """
    if not os.path.isdir(path):
        return path
    for inner in ("spec.yaml", os.path.join("model", "spec.yaml")):
        file = os.path.join(path, inner)
        if os.path.isfile(file):
            return file
    raise TPError(f"{path}: the folder is neither a model nor a run: it has no spec.yaml and no model/spec.yaml")


def has_own_data(spec: Spec, file: str) -> bool:
    """True if the user wrote anything under ``data:``.

    Presets name a processor but neither a tokenizer nor files; the user has to complete such a data part. The spec of a
    model, which lies beside its weights, has the data part that inference needs, and no files.

    Args:
        spec: the spec.
        file: the file that it was loaded from, or the name of a preset.
    """
    data = spec.tree.mapping.get("data")
    beside = Path(file).parent
    if data is not None and not {"train", "sets"} & set(data.mapping) and is_stored(beside, STEM):
        return False
    return data is not None and any(not node.at().source.startswith("preset ") for node in data.mapping.values())
