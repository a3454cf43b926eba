"""The two sides of records that a search compares, such as pictures and their texts. Torch-free."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from tp_core.interfaces.record import Record


class Item(NamedTuple):
    """A text, a picture or another thing that a search compares.

    Attributes:
        content: a value that equal items share; None for an item that equals no other.
        name: the name of the item in results.
        record: a record with this item alone, for the processor's ``encode``.
    """

    content: str | bytes | None
    name: str
    record: Record


class Sides(ABC):
    """Reads the items of records for ``tp retrieve``: those of side 0 and those of side 1, which belong together.

    Attributes:
        names: the names of the sides, in metrics and on the command line.
        streams: the streams of the model that read the sides; empty names for the only stream of a model.
        prompted: for each side, True if its items are texts, before which a prompt may be put.
    """

    names: tuple[str, str]
    streams: tuple[str, str] = ("", "")
    prompted: tuple[bool, bool] = (True, True)

    @abstractmethod
    def items(self, record: Record, side: int) -> list[Item]:
        """The items of a record on one side; none for a record without meaning, such as a blank line.

        Raises:
            DataError: the record lacks a field that this side needs, or its value cannot be used.
        """

    @abstractmethod
    def query(self, text: str, option: str) -> Record:
        """The record of a query that a user has written: the query itself, or the name of its file.

        Args:
            text: the query.
            option: name of the command-line option, for messages.

        Raises:
            TPError: the query is empty, or its file does not exist.
        """

    @abstractmethod
    def side_of(self, query: Record) -> int:
        """The side to which a record of queries belongs."""

    def searched(self, asking: int, first: Record) -> int:
        """The side in which a query searches if the user names none; by default the other one.

        Args:
            asking: the side of the query.
            first: the first record of the data.
        """
        return 1 - asking

    def nothing(self, side: int) -> str:
        """The message about data whose records have no items on a side."""
        return f"there is nothing to search in: no record has the field {self.names[side]}"
