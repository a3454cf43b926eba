"""The two sides of records of texts, between which ``tp retrieve`` searches."""

from __future__ import annotations

from tp_core.data.fields import is_blank, missing_field, text_field
from tp_core.errors import DataError, TPError
from tp_core.interfaces import Item, Record, Sides
from tp_text.processors.reading import text_of


class TextSides(Sides):
    """``text_a`` (or ``text``) and ``text_b``. Equal texts are one item.

    Args:
        streams: the streams that read the sides; empty names if one stream reads both.
        fields: for each side, the field from which ``encode`` of the processor reads a text alone.
    """

    names = ("text_a", "text_b")

    def __init__(self, streams: tuple[str, str] = ("", ""), fields: tuple[str, str] = ("text", "text")) -> None:
        self.streams, self._fields = streams, fields

    def items(self, record: Record, side: int) -> list[Item]:
        if is_blank(record):
            return []
        text = text_of(record) if side == 0 else text_field(record, "text_b")
        if text is None:
            raise missing_field(record, "'text_b'")
        if not text.strip():
            raise DataError(f"'{self.names[side]}' is empty", file=record.file, line=record.line)
        return [Item(text, text, Record({self._fields[side]: text}, record.file, record.line))]

    def query(self, text: str, option: str) -> Record:
        if not text.strip():
            raise TPError("the query is empty; expected a text")
        return Record({"text": text}, option, 1)

    def side_of(self, query: Record) -> int:
        return 1 if query.value.get("text_b") is not None and not {"text", "text_a"} & query.value.keys() else 0

    def searched(self, asking: int, first: Record) -> int:
        """The other side if the first record has it, else ``text_a``."""
        return 1 if asking == 0 and first.value.get("text_b") is not None else 0
