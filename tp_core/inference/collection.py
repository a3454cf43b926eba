"""The items of records on the two sides of a search, each once, and the pairs that they form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tp_core.data.sources.unreadable import Unreadable
from tp_core.errors import DataError
from tp_core.inference.ranking import Vectors
from tp_core.interfaces import Item, Record, Sides

NO_VECTORS: Vectors = np.empty((0, 0), dtype=np.float32)


@dataclass(frozen=True)
class Items:
    """Different items of one side.

    Attributes:
        names: (items,) the name of each item.
        vectors: (items, size).
    """

    names: list[str]
    vectors: Vectors


@dataclass(frozen=True)
class Collection:
    """Items of two sides, each once, even if several records have it.

    Attributes:
        first: items of the first side, such as pictures.
        second: items of the second side, such as texts.
        pairs: (pairs, 2), the numbers of a first and a second item that belong together; each pair occurs once. An item
            may belong to several others.
    """

    first: Items
    second: Items
    pairs: NDArray[np.int64]


class Distinct(Iterable[Record]):
    """Yields a record for each different item of one side, and collects the items of the other side.

    Args:
        skip: True to yield an :class:`Unreadable` for a record that cannot be used, in place of an error.
        paired: True to collect the items of the other side.

    Attributes:
        names: the name of each yielded item.
        partners: for each yielded item, the different items of the other side that some record has with it.
        count: number of records that were read.
    """

    def __init__(
        self, records: Iterable[Record], sides: Sides, side: int, skip: bool = False, paired: bool = False
    ) -> None:
        self.names: list[str] = []
        self.partners: list[dict[str | bytes, Item]] = []
        self.count = 0
        self._records, self._sides, self._side = records, sides, side
        self._skip, self._paired = skip, paired

    def __iter__(self) -> Iterator[Record]:
        known: dict[str | bytes, int] = {}
        for record in self._records:
            self.count += 1
            try:
                own = items_of(self._sides, record, self._side)
                others = items_of(self._sides, record, 1 - self._side) if self._paired else []
            except DataError as error:
                if not self._skip:
                    raise
                self._add("")
                yield Unreadable({}, record.file, record.line, str(error))
                continue
            for item in own:
                number = len(self.names) if item.content is None else known.setdefault(item.content, len(self.names))
                new = number == len(self.names)
                if new:
                    self._add(item.name)
                self.partners[number] |= {_key(other): other for other in others}
                if new:
                    yield item.record

    def _add(self, name: str) -> None:
        self.names.append(name)
        self.partners.append({})

    def pairs(self, used: list[int]) -> tuple[list[Item], NDArray[np.int64]]:
        """The different partners of some items, and the pairs (pairs, 2) that they form with these items.

        Args:
            used: the numbers of the items, which get new numbers in this order.
        """
        numbers: dict[str | bytes, int] = {}
        partners: list[Item] = []
        found: list[tuple[int, int]] = []
        for own, number in enumerate(used):
            for key, partner in self.partners[number].items():
                if key not in numbers:
                    numbers[key] = len(partners)
                    partners.append(partner)
                found.append((own, numbers[key]))
        return partners, np.array(found, dtype=np.int64).reshape(-1, 2)


def items_of(sides: Sides, record: Record, side: int) -> list[Item]:
    """The items of a record on one side.

    Raises:
        DataError: the record cannot be read, or the side's field is missing or cannot be used.
    """
    if isinstance(record, Unreadable):
        raise DataError(record.error)
    return sides.items(record, side)


def _key(item: Item) -> str | bytes:
    """The content of an item; for an item that equals no other, a key of its own."""
    return item.content if item.content is not None else f"{item.record.file}:{item.record.line}:{item.name}"
