"""The paths of a spec, which are relative to its file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: Keys whose values are paths, or have them in lists and mappings.
_PATHS = ("vocab", "merges", "model", "path", "answers", "train", "eval", "init_from", "first")


def relocated(tree: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The spec with its paths relative to another folder than the current one.

    Args:
        tree: a spec with paths relative to the current folder. Absolute paths stay.
        folder: the folder of the spec's file.
    """
    if folder.resolve() == Path.cwd():
        return dict(tree)
    found = {**tree, "data": _moved(tree["data"], folder)} if "data" in tree else dict(tree)
    return found | ({"init_from": _moved(tree["init_from"], folder, "init_from")} if "init_from" in tree else {})


def _moved(tree: Any, folder: Path, key: str = "") -> Any:
    if isinstance(tree, dict):
        return {name: _moved(value, folder, name) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_moved(each, folder, key) for each in tree]
    if key in _PATHS and isinstance(tree, str) and not os.path.isabs(tree):
        return os.path.relpath(tree, folder.resolve())
    return tree
