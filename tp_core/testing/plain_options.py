"""The contracts of the options of all modules: plain values, and an implementation that accepts them."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from tp_core.testing.implementation import check_implementation
from tp_core.testing.subject import Subject


def check_options(subject: Subject) -> None:
    """Check that resolved options do not change when they are loaded again, and that the implementation accepts them.

    Raises:
        AssertionError: a check fails. The message explains the problem.
    """
    config = subject.config()
    try:
        plain = json.loads(json.dumps(config.model_dump()))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"the resolved options cannot be written to a spec: {error}") from None
    try:
        again = subject.cls(**plain)
    except ValidationError as error:
        raise AssertionError(f"the resolved options are refused when they are loaded again: {error}") from None
    assert again == config, (
        "the resolved options load to others; options must be plain values that validation does not change: "
        f"{difference(config.model_dump(), again.model_dump())}"
    )
    check_implementation(subject.cls)


def difference(before: Any, after: Any, path: str = "") -> str:
    """A text that describes the first difference between two trees of plain values."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() | after.keys():
            if before.get(key) != after.get(key):
                return difference(before.get(key), after.get(key), f"{path}.{key}" if path else str(key))
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (left, right) in enumerate(zip(before, after)):
            if left != right:
                return difference(left, right, f"{path}[{number}]")
    return f"{path} is {before!r}, then {after!r}"
