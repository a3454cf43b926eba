"""Names that several installed distributions offer, found only from their metadata. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from tp_core.discovery import KINDS, PluginEntry, index, is_own, owner_of, singular


def clashes() -> Iterator[str]:
    """One sentence for each name that several distributions offer for the same kind, with the way to select each."""
    for kind in (*index().kinds, KINDS):
        for name, entries in groupby(index().entries(kind), key=lambda entry: entry.name):
            others = list(entries)
            own = next((entry.distribution for entry in others if is_own(entry)), "") or owner_of(kind, name)
            theirs = [entry for entry in others if not is_own(entry)]
            if theirs and (own or len(theirs) > 1):
                yield f"{singular(kind)} '{name}' {_told(kind, name, own, theirs)}"


def _told(kind: str, name: str, own: str, theirs: Sequence[PluginEntry]) -> str:
    offers = _joined([*([own] if own else []), *(f"{entry.distribution} {entry.version}" for entry in theirs)])
    if kind in ("commands", KINDS):  # specs do not name modules of these kinds
        removed = _joined([entry.distribution for entry in theirs], "or")
        return f"is offered by {offers}: only one of them can be used; uninstall {removed}"
    ways = [f"'{name}@{entry.distribution}' for that of {entry.distribution}" for entry in theirs]
    if own:
        return f"is offered by {offers}: '{name}' is that of {own}; write {_joined(ways)}"
    return f"is offered by {offers}: write {_joined(ways, 'or')}"


def _joined(parts: Sequence[str], word: str = "and") -> str:
    return f" {word} ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]
