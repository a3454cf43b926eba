"""The contracts of a preset."""

from __future__ import annotations

from tp_core import discovery
from tp_core.errors import TPError
from tp_core.testing.specs import reloaded


def check(name: str) -> None:
    """Check that a preset exists, has a description, loads, and stays the same when its resolved spec is reloaded."""
    try:
        file = discovery.preset_file(discovery.index().find("presets", name))
    except TPError as error:
        raise AssertionError(str(error)) from None
    with open(file, encoding="utf-8") as lines:
        first = lines.readline()
    assert first.startswith("# "), f"{file} has no description; its first line must be a comment for 'tp modules'"
    spec = reloaded({"tp": 1, "extends": name})
    assert reloaded(spec.dump()).dump() == spec.dump(), "the resolved spec loads to another one"
