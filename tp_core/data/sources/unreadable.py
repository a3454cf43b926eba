"""Records that stand for those that cannot be read, so that what is made of records keeps its order and number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tp_core.data.sources.records import Records
from tp_core.errors import DataError
from tp_core.interfaces import Record


@dataclass(frozen=True)
class Unreadable(Record):
    """A record without fields, in the place of one that cannot be read.

    Attributes:
        error: why, with the place.
    """

    error: str


def in_their_places(records: Records) -> Iterator[Record]:
    """The records, and an :class:`Unreadable` for each that cannot be read.

    Args:
        records: skip what cannot be read (:class:`~tp_core.data.sources.bad.BadRecords`).

    Raises:
        DataError: what makes a whole file unreadable.
    """
    for each in records.with_errors():
        yield Unreadable({}, "", 0, str(each)) if isinstance(each, DataError) else each
