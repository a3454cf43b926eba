"""Counts of skipped files, by kind. Torch-free."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping

#: Maximum number of characters of a kind in messages.
_LONGEST = 80


def ending(name: str) -> str:
    """The ending of a file's name, for counts: ``.txt``, ``.txt.gz``."""
    stem, found = os.path.splitext(name.lower())
    if found == ".gz":
        found = os.path.splitext(stem)[1] + found
    return found or "without ending"


class PassedOver:
    """Counts what was skipped in each given folder and shard, and reports each count once."""

    #: Maximum number of folders and shards with a separate message.
    KEEP = 5
    #: Maximum number of kinds in a message.
    KINDS = 20

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}
        self._notes: list[str] = []
        self._told = 0

    def add(self, place: str, kinds: Mapping[str, int]) -> None:
        """Add skipped items.

        Args:
            place: the folder or file with the items.
            kinds: number of items by kind, such as an ending.
        """
        self._counts.setdefault(place, Counter()).update(kinds)

    def note(self, message: str) -> None:
        """Report another message about the reading of folders, once."""
        self._notes.append(message)

    def of(self, *places: str) -> str:
        """The total counts of some places as text, the largest first; empty if nothing was skipped."""
        total = Counter[str]()
        for place in places:
            total.update(self._counts.get(place, {}))
        most_first = sorted(total.items(), key=lambda each: (-each[1], each[0]))
        more = sum(count for _, count in most_first[self.KINDS :])
        shown = [f"{kind[:_LONGEST]} ({count:,})" for kind, count in most_first[: self.KINDS]]
        return ", ".join([*shown, f"others ({more:,})"] if more else shown)

    def tell(self, say: Callable[[str], None]) -> None:
        """Report the counts since the last call."""
        for message in self._notes:
            say(message)
        places = list(self._counts)
        room = max(0, self.KEEP - self._told)
        for place in places[:room]:
            say(f"passed over in {place}: {self.of(place)}")
        if more := places[room:]:
            say(f"passed over in {len(more):,} more places: {self.of(*more)}")
        self._told += len(places)
        self._counts, self._notes = {}, []
