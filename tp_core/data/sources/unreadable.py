"""Placeholders for records that cannot be read, so that results keep the order and number of records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tp_core.data.sources.records import Records
from tp_core.errors import DataError
from tp_core.interfaces import Record


@dataclass(frozen=True)
class Unreadable(Record):
    """A record without fields that replaces a record that cannot be read.

    Attributes:
        error: the reason, with the place.
    """

    error: str


def in_their_places(records: Records) -> Iterator[Record]:
    """The records, and an :class:`Unreadable` for each that cannot be read.

    Args:
        records: records with the policy ``skip`` (:class:`~tp_core.data.sources.bad.BadRecords`).

    Raises:
        DataError: a whole file cannot be read.
    """
    for each in records.with_errors():
        yield Unreadable({}, "", 0, str(each)) if isinstance(each, DataError) else each
