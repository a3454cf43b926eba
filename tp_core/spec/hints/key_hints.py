"""The answer to an unknown key: its meaning, its place, or a slip of the hand. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tp_core.spec.hints.words import alike, asked_back, elsewhere, meanings, nothings, plain, switched

if TYPE_CHECKING:
    from tp_core.spec.tree.nodes import Node


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


def _meant_here(word: str, known: Sequence[str], section: str, tree: Node | None) -> str:
    from tp_core.spec.hints.places import kind_at, within

    if found := alike(word, known):
        return asked_back(word, found)
    if below := within(word, section, tree):
        return below
    # At the top, 'train' is the section and not the key of data.
    own = [each for each in meanings().get(plain(word), []) if section or not each.place]
    here = kind_at(section, tree) if any(each.part for each in own) else ""
    found = next((each.option for each in own if each.option in known and each.part in ("", here)), "")
    return asked_back(word, found) if found else _of_part(word, section, tree)


def _of_part(word: str, section: str, tree: Node | None) -> str:
    """The place of what a word of others means in a part of the layers that the spec has; empty where it has none."""
    from tp_core.spec.hints.places import in_parts

    for each in meanings().get(plain(word), []):
        if each.place.startswith("model.encoder") and (found := in_parts(each.option, each.part, section, tree)):
            return f"specs call it {found}{switched(word, each.option).removeprefix(each.option)}"
    return ""


def _elsewhere(word: str, section: str, tree: Node | None) -> str:
    from tp_core.spec.hints.places import PARTS, belongs, kind_at, offered

    here = kind_at(section, tree)
    return (
        belongs(word, section, tree)
        or (offered(word, here) if here in PARTS else "")
        or _of_part(word, "", tree)
        or elsewhere(word)
        or offered(word)
    )


def _spelt(word: str, known: Sequence[str], section: str, tree: Node | None) -> str:
    from tp_core.spec.hints.misspelling import misspelt
    from tp_core.spec.hints.places import names

    real = {*known, *names(tree), *meanings(), *nothings()}
    if found := misspelt(plain(word), known, real):
        return f"did you mean '{found}'?"
    found = misspelt(plain(word), sorted(real), real)
    answer = found and (_meant_here(found, known, section, tree) or _elsewhere(found, section, tree))
    if not answer:
        return ""
    return answer if answer.startswith("did you mean") else f"did you mean '{found}'? {answer}"


def of_specs(word: str) -> str:
    """The answer to a word that is no option of a command: where specs have it; empty where they have not."""
    return _elsewhere(plain(word), "command", None)
