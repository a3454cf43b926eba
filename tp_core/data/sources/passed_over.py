"""Files that are no records, counted by what they are. Torch-free."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping

#: Characters of a kind that are told.
_LONGEST = 80


def ending(name: str) -> str:
    """The ending of a file's name, for counts: ``.txt``, ``.txt.gz``."""
    stem, found = os.path.splitext(name.lower())
    if found == ".gz":
        found = os.path.splitext(stem)[1] + found
    return found or "without ending"


class PassedOver:
    """Counts what was passed over in each folder and shard that was named, and tells each count once."""

    #: Folders and shards that are told one by one.
    KEEP = 5
    #: Kinds of things that are told one by one.
    KINDS = 20

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}
        self._notes: list[str] = []
        self._told = 0

    def add(self, place: str, kinds: Mapping[str, int]) -> None:
        """Count what was passed over.

        Args:
            place: the folder or file that it was in.
            kinds: what things are, such as an ending, and how many of each.
        """
        self._counts.setdefault(place, Counter()).update(kinds)

    def note(self, message: str) -> None:
        """Tell something else of how folders are read, once."""
        self._notes.append(message)

    def of(self, *places: str) -> str:
        """The counts of places together, most first; empty without any."""
        total = Counter[str]()
        for place in places:
            total.update(self._counts.get(place, {}))
        most_first = sorted(total.items(), key=lambda each: (-each[1], each[0]))
        more = sum(count for _, count in most_first[self.KINDS :])
        shown = [f"{kind[:_LONGEST]} ({count:,})" for kind, count in most_first[: self.KINDS]]
        return ", ".join([*shown, f"others ({more:,})"] if more else shown)

    def tell(self, say: Callable[[str], None]) -> None:
        """Say what has been counted since the last time."""
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
