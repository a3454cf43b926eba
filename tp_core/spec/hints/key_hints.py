"""Hints about an unknown key: its meaning, its right place, or the correct spelling. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tp_core.spec.hints.value_hints import alike, asked_back, plain, switched
from tp_core.spec.hints.words import elsewhere, meanings, nothings

if TYPE_CHECKING:
    from tp_core.spec.tree.nodes import Node


def hint(word: str, known: Iterable[str], section: str = "", tree: Node | None = None) -> str:
    """The hint about an unknown key, as part of a sentence; empty if there is none.

    For an option of specs at a wrong place, the hint names the right place. For a term of another toolkit, it names the
    corresponding option, or says that there is none. A similar spelling is suggested last, and only if few letters
    differ.

    Args:
        known: the valid keys at this place.
        section: the path of the mapping with the key.
        tree: the whole spec, for the options of its modules.
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
    # At the top level, 'train' means the section, not the key of data.
    own = [each for each in meanings().get(plain(word), []) if section or not each.place]
    here = kind_at(section, tree) if any(each.part for each in own) else ""
    found = next((each.option for each in own if each.option in known and each.part in ("", here)), "")
    return asked_back(word, found) if found else _of_part(word, section, tree)


def _of_part(word: str, section: str, tree: Node | None) -> str:
    """The place of the corresponding option in a part of the spec's layers; empty if there is none."""
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
    """The hint about an unknown option of a command: the place of the option in specs; empty if specs lack it."""
    return _elsewhere(plain(word), "command", None)
