"""The answer to an unknown key or value of a spec: what it means, before what it looks like. Torch-free."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tp_core.spec.words_of_others import NOTHING, OWNERS, SWITCHES, VALUES, WORDS
from tp_core.suggest import did_you_mean

if TYPE_CHECKING:
    from tp_core.spec.nodes import Node


class Meaning(NamedTuple):
    """An option of ours.

    Attributes:
        option: its name.
        place: the section that it belongs in, or the part of the model whose modules have it.
    """

    option: str
    place: str


def plain(word: str) -> str:
    """A word as the tables have it."""
    return word.strip().lower().replace("-", "_")


@functools.cache
def _options() -> dict[str, list[Meaning]]:
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
def _nothing() -> dict[str, str]:
    return {plain(word): sentence for sentence, words in NOTHING.items() for word in words.split()}


def meant(word: str, known: Iterable[str]) -> str | None:
    """The one of several names of ours that a word of others stands for; None for a word that means none of them."""
    known = list(known)
    options = [meaning.option for meaning in _options().get(plain(word), [])]
    return next((name for name in (*options, *_values().get(plain(word), [])) if name in known), None)


def meaning(word: str) -> str:
    """The option of ours that a word of other toolkits stands for first of all; empty for a word without a meaning."""
    return next((each.option for each in _options().get(plain(word), [])), "")


def hint(word: str, known: Iterable[str], section: str = "", tree: Node | None = None) -> str:
    """The answer to an unknown key, as a sentence's part; empty where there is none.

    An option of ours that stands elsewhere is told its place, a word of others the option of ours, or that there is
    none. What only looks like another word comes last, and only where few letters differ.

    Args:
        known: the keys that would do in its place.
        section: the path of the mapping that has the key.
        tree: the whole spec, whose modules have options.
    """
    known = list(known)
    return (
        _meant_here(word, known, section, tree) or _elsewhere(word, section, tree) or _spelt(word, known, section, tree)
    )


def value_hint(word: str, known: Iterable[str]) -> str:
    """The answer to an unknown value, or to a name of no module; empty where there is none."""
    known = list(known)
    found = _alike(word, known) or meant(word, known)
    return _did_you_mean(word, found) if found else did_you_mean(word, known, 0.7)


def nothing(word: str) -> str:
    """The sentence on a word of others that specs have nothing for; empty for another word."""
    return _nothing().get(plain(word), "")


def elsewhere(word: str) -> str:
    """Where specs have what a word of others stands for, or that they have nothing for it; empty for another word."""
    meanings = _options().get(plain(word), [])
    if not meanings:
        return nothing(word)
    option, place = meanings[0]
    option = _switched(word, option)
    if "." not in place:
        return f"specs call it {place}.{option}" if place else f"specs call it {option}, at the top"
    return f"specs call it '{option}', an option of {OWNERS[place]}"


def of_specs(word: str) -> str:
    """The answer to a word that is no option of a command: where specs have it; empty where they have not."""
    return _elsewhere(plain(word), "command", None)


def _alike(word: str, known: Iterable[str]) -> str | None:
    return next((name for name in known if plain(name) == plain(word)), None)


def _meant_here(word: str, known: Sequence[str], section: str, tree: Node | None) -> str:
    from tp_core.spec.places import within

    if found := _alike(word, known):
        return _did_you_mean(word, found)
    if below := within(word, section, tree):
        return below
    # At the top, 'train' is the section and not the key of data.
    own = [each.option for each in _options().get(plain(word), []) if section or not each.place]
    found = next((option for option in own if option in known), "")
    return _did_you_mean(word, found) if found else ""


def _did_you_mean(word: str, found: str) -> str:
    return f"did you mean '{_switched(word, found)}'?"


def _switched(word: str, option: str) -> str:
    """An option, with the value that a word of others sets."""
    switch = next((each for each, words in SWITCHES.items() if plain(word) in words.split()), "")
    return switch if switch.startswith(f"{option}: ") else option


def _elsewhere(word: str, section: str, tree: Node | None) -> str:
    from tp_core.spec.places import belongs, offered

    return belongs(word, section, tree) or elsewhere(word) or offered(word)


def _spelt(word: str, known: Sequence[str], section: str, tree: Node | None) -> str:
    from tp_core.misspelling import misspelt
    from tp_core.spec.places import names

    real = {*known, *names(tree), *_options(), *_nothing()}
    if found := misspelt(plain(word), known, real):
        return f"did you mean '{found}'?"
    found = misspelt(plain(word), sorted(real), real)
    answer = found and (_meant_here(found, known, section, tree) or _elsewhere(found, section, tree))
    if not answer:
        return ""
    return answer if answer.startswith("did you mean") else f"did you mean '{found}'? {answer}"
