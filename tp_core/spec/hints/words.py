"""Hints about an unknown key or value of a spec, by its meaning first and by its spelling second. Torch-free."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import NamedTuple

from tp_core.spec.hints.terms.missing import NOTHING
from tp_core.spec.hints.terms.options import WORDS
from tp_core.spec.hints.terms.owners import OWNERS
from tp_core.spec.hints.terms.values import SWITCHES, VALUES
from tp_core.suggest import did_you_mean


class Meaning(NamedTuple):
    """An option of specs.

    Attributes:
        option: its name.
        place: its section, or the part of the model whose modules have it.
    """

    option: str
    place: str

    @property
    def part(self) -> str:
        """The kind of the layer parts that have the option; empty for other options."""
        return self.place.rpartition(".")[2] if self.place.count(".") > 1 else ""


def plain(word: str) -> str:
    """A word in the spelling of the tables."""
    return word.strip().lower().replace("-", "_")


@functools.cache
def meanings() -> dict[str, list[Meaning]]:
    found: dict[str, list[Meaning]] = {}
    for place, options in WORDS.items():
        for option, words in options.items():
            for word in words.split():
                found.setdefault(plain(word), []).append(Meaning(option, place))
    return found


@functools.cache
def _values() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for value, words in VALUES.items():
        for word in words.split():
            found.setdefault(plain(word), []).append(value)
    return found


@functools.cache
def nothings() -> dict[str, str]:
    return {plain(word): sentence for sentence, words in NOTHING.items() for word in words.split()}


def meant(word: str, known: Iterable[str]) -> str | None:
    """The one among several of our names that a term of another toolkit means; None if it means none of them."""
    known = list(known)
    options = [meaning.option for meaning in meanings().get(plain(word), [])]
    return next((name for name in (*options, *_values().get(plain(word), [])) if name in known), None)


def meaning(word: str) -> str:
    """The option that a term of other toolkits usually means; empty for an unknown term."""
    return next((each.option for each in meanings().get(plain(word), [])), "")


def value_hint(word: str, known: Iterable[str]) -> str:
    """The hint about an unknown value or module name; empty if there is none."""
    known = list(known)
    found = alike(word, known) or meant(word, known)
    return asked_back(word, found) if found else did_you_mean(word, known, 0.7)


def nothing(word: str) -> str:
    """The sentence about a term of other toolkits that has no counterpart in specs; empty for other terms."""
    return nothings().get(plain(word), "")


def elsewhere(word: str) -> str:
    """A sentence with the counterpart of a term of other toolkits in specs, or about its absence.

    Empty for an unknown term.
    """
    found = meanings().get(plain(word), [])
    if not found:
        return nothing(word)
    option, place = found[0]
    option = switched(word, option)
    if "." not in place:
        return f"specs call it {place}.{option}" if place else f"specs call it {option}, at the top"
    return f"specs call it '{option}', an option of {OWNERS[place]}"


def alike(word: str, known: Iterable[str]) -> str | None:
    return next((name for name in known if plain(name) == plain(word)), None)


def asked_back(word: str, found: str) -> str:
    return f"did you mean '{switched(word, found)}'?"


def switched(word: str, option: str) -> str:
    """An option with the value that a term of other toolkits implies."""
    switch = next((each for each, words in SWITCHES.items() if plain(word) in words.split()), "")
    return switch if switch.startswith(f"{option}: ") else option
