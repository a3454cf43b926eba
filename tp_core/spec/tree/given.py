"""Conversion of a spec dictionary to a tree, like that of a file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Any

from tp_core.spec.errors import SpecError, SpecProblem
from tp_core.spec.tree.nodes import Node, Origin, Scalar, Value

#: Name of the dictionary in messages, instead of a file name.
SOURCE = "the given dictionary"

_MOST_LEVELS = 100


def given(spec: Mapping[str, Any]) -> Node:
    """The tree of a spec dictionary; relative paths in it are relative to the current folder.

    Raises:
        SpecError: the dictionary has values that a spec cannot have; the error lists all of them.
    """
    if not spec:
        raise SpecError([SpecProblem("", "it is empty; a spec has at least a model: or an extends:", Origin(SOURCE))])
    problems: list[SpecProblem] = []
    node = tree(spec, "", problems)
    if problems:
        raise SpecError(problems)
    return node


def tree(value: Any, path: str, problems: list[SpecProblem], level: int = 0) -> Node:
    """A plain value as a tree.

    Args:
        path: path of the value in the spec.
        problems: receives problems about values that a spec cannot have.
        level: nesting level of the value, from 0.
    """
    origin = Origin(SOURCE)
    if level > _MOST_LEVELS:  # endless if the value contains itself
        raise SpecError([SpecProblem("", f"nested more than {_MOST_LEVELS} levels deep", origin)])
    found: Value
    if isinstance(value, Mapping):
        found = {}
        for key, each in value.items():
            name = _key(key)
            inner = f"{path}.{name}" if path else str(name)
            if name is None or name in found:
                message = "a key must be a plain text" if name is None else f"the key '{name}' is given twice"
                problems.append(SpecProblem(path if name is None else inner, message, origin))
            else:
                found[name] = tree(each, inner, problems, level + 1)
    elif isinstance(value, (list, tuple)):
        found = [tree(each, f"{path}[{i}]", problems, level + 1) for i, each in enumerate(value)]
    else:
        found = _scalar(value, path, problems)
    return Node(found, origin)


def _key(key: Any) -> str | None:
    """A key as in YAML: a number becomes text, such as the labels in ``{0: neutral}``."""
    if isinstance(key, bool) or not isinstance(key, (str, int)):
        return None
    return str(key)


def _scalar(value: Any, path: str, problems: list[SpecProblem]) -> Scalar:
    """A value of a spec; paths and numbers of NumPy and similar libraries are converted."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    elif not isinstance(value, (str, int, float)) and callable(item := getattr(value, "item", None)):
        with contextlib.suppress(TypeError, ValueError, RuntimeError):  # arrays of several numbers cannot be converted
            value = item()
    for kind in (bool, str, int, float):
        if isinstance(value, kind):
            return kind(value)  # also converts instances of subclasses
    if value is not None:
        message = f"expected a text, a number, true or false, a list or a mapping, got a {type(value).__name__}"
        problems.append(SpecProblem(path, message, Origin(SOURCE)))
    return None
