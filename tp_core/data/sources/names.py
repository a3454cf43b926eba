"""Data inputs as specs and users write them: paths, and choices of modules of the kind ``source``. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence

from tp_core.options.choice import Chosen
from tp_core.spec.checks.files import expand
from tp_core.spec.sections.data import Given


def expanded(given: Given | Sequence[Given]) -> list[Given]:
    """Paths and choices, with path patterns expanded."""
    several = [given] if isinstance(given, str | Chosen) else given
    return [path for each in several for path in (expand(each) if isinstance(each, str) else [each])]


def display_name(given: Given) -> str:
    """The name of a data input for messages."""
    if isinstance(given, str):
        return given
    return " ".join([given.name, *given.config.files().values()])
