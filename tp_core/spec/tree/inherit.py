"""The chain of ``extends``: files and presets, each merged over its parent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tp_core import discovery
from tp_core.errors import TPError
from tp_core.spec.errors import Problems, SpecError, SpecProblem
from tp_core.spec.tree.canonical import canonical
from tp_core.spec.tree.given import SOURCE, given
from tp_core.spec.tree.merge import merge
from tp_core.spec.tree.nodes import Node, Origin, describe
from tp_core.spec.tree.yaml_loader import parse_file
from tp_core.suggest import instead


def read(path: str | Mapping[str, Any], problems: Problems) -> Node:
    """The canonical tree of a spec or preset, merged with its parents.

    Args:
        path: path of a file, name of a preset, or a spec as a dictionary.
        problems: receives problems about module choices of a wrong form.

    Raises:
        SpecError: a file of the chain is missing or is not a YAML mapping.
    """
    if isinstance(path, Mapping):
        return _inherit(given(path), (), SOURCE, problems)
    file = Path(path)
    if not file.is_file() and file.suffix not in (".yaml", ".yml", ".json") and os.sep not in path:
        if file.is_dir() and path not in discovery.index().names("presets"):
            raise SpecError([SpecProblem("", "this is a folder; give the file of a spec in it", Origin(path))])
        return _inherit(_preset(path, Origin(path)), (), path, problems)
    return _inherit(parse_file(file, path), (), str(file.resolve()), problems)


def _inherit(root: Node, within: tuple[str, ...], identity: str, problems: Problems) -> Node:
    root = canonical(root, problems)
    parent = root.mapping.get("extends")
    if parent is None or parent.value is None:
        return root
    if not isinstance(parent.value, str):
        message = f"expected the name of a preset or a file, got {describe(parent.value)}"
        raise SpecError([SpecProblem("extends", message, parent.origin)])
    within = (*within, identity)
    file = Path(parent.origin.base) / parent.value
    looks_like_file = file.suffix in (".yaml", ".yml", ".json")
    key = str(file.resolve()) if looks_like_file else parent.value
    if key in within:
        raise SpecError([SpecProblem("extends", f"'{parent.value}' extends itself", parent.origin)])
    if looks_like_file:
        if not file.is_file():
            raise SpecError([SpecProblem("extends", f"there is no file {file}{instead(file)}", parent.origin)])
        above = _inherit(parse_file(file, os.path.relpath(file)), within, key, problems)
    else:
        above = _inherit(_preset(parent.value, parent.origin), within, key, problems)
    children = {k: v for k, v in root.mapping.items() if k != "extends"}
    inherited = {k: v for k, v in above.mapping.items() if k not in ("extends", "name")}
    return merge(above.with_value(inherited), root.with_value(children))


def _preset(name: str, origin: Origin) -> Node:
    """Parse a preset: the file ``<name>.yaml`` in the package that the entry point names."""
    try:
        entry = discovery.index().find("presets", name)
    except TPError as error:
        message = str(error).replace("unknown preset", "there is no file or preset")
        raise SpecError([SpecProblem("extends" if origin.line else "", message, origin)]) from None
    try:
        return parse_file(discovery.preset_file(entry), f"preset {entry.name}")
    except discovery.BrokenModuleError as error:
        raise SpecError([SpecProblem("extends" if origin.line else "", str(error), origin)]) from None
