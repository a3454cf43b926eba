"""Hints about an unknown value or module name, by its meaning first and by its spelling second. Torch-free."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from tp_core.spec.hints.terms.options import WORDS
from tp_core.spec.hints.terms.values import SWITCHES, VALUES
from tp_core.suggest import did_you_mean


def plain(word: str) -> str:
    """A word in the spelling of the tables."""
    return word.strip().lower().replace("-", "_")


def alike(word: str, known: Iterable[str]) -> str | None:
    return next((name for name in known if plain(name) == plain(word)), None)


def asked_back(word: str, found: str) -> str:
    return f"did you mean '{switched(word, found)}'?"


def switched(word: str, option: str) -> str:
    """An option with the value that a term of other toolkits implies."""
    switch = next((each for each, words in SWITCHES.items() if plain(word) in words.split()), "")
    return switch if switch.startswith(f"{option}: ") else option


@functools.cache
def _names() -> dict[str, list[str]]:
    """Term → the options of the core that it means, the usual one first, then the values."""
    found: dict[str, list[str]] = {}
    for table in (*WORDS.values(), VALUES):
        for name, words in table.items():
            for word in words.split():
                found.setdefault(plain(word), []).append(name)
    return found


def meant(word: str, known: Iterable[str]) -> str | None:
    """The one among several of our names that a term of another toolkit means; None if it means none of them."""
    known = list(known)
    return next((name for name in _names().get(plain(word), []) if name in known), None)


def value_hint(word: str, known: Iterable[str]) -> str:
    """The hint about an unknown value or module name; empty if there is none."""
    known = list(known)
    found = alike(word, known) or meant(word, known)
    return asked_back(word, found) if found else did_you_mean(word, known, 0.7)
