"""The names that our own distributions offer. This file uses only the standard library."""

from __future__ import annotations

import functools
import json
from pathlib import Path

#: Written by ``docs/generate_first_party.py`` from the ``pyproject.toml`` of the distributions.
FILE = Path(__file__).with_name("first_party.json")


@functools.cache
def first_party() -> dict[str, dict[str, list[str]]]:
    """The names that our own distributions offer, installed or not: distribution → kind → names.

    A bare name in a spec refers to these modules, even if other distributions offer the same name. If the distribution
    is not installed, the error names it.
    """
    content: dict[str, dict[str, list[str]]] = json.loads(FILE.read_text(encoding="utf-8"))
    return content
