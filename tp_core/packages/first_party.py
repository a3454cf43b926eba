"""The names that our own distributions offer. The standard library alone is used here."""

from __future__ import annotations

import functools
import json
from pathlib import Path

#: Written by ``docs/generate_first_party.py`` of the distributions' ``pyproject.toml``.
FILE = Path(__file__).with_name("first_party.json")


@functools.cache
def first_party() -> dict[str, dict[str, list[str]]]:
    """The names that our own distributions offer, installed or not: distribution → kind → names.

    A spec's bare name means these, whatever others offer; one that is missing is answered with what to install.
    """
    content: dict[str, dict[str, list[str]]] = json.loads(FILE.read_text(encoding="utf-8"))
    return content
