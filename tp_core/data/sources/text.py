"""Plain text, whose lines are records. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tp_core.data.sources.base import Reading
from tp_core.data.sources.columns import NewColumns, plan_columns
from tp_core.data.sources.file import FileSource
from tp_core.data.sources.lines import line_runs
from tp_core.errors import DataError
from tp_core.interfaces.record import Record


@dataclass(frozen=True)
class TextRun:
    """Lines of plain text that stand for one record each, before they are made into records.

    Attributes:
        file: where they stand.
        first: number of the first line.
        lines: the lines, without their ends.
        fields: the fields of each record, all of which hold the line.
    """

    file: str
    first: int
    lines: list[str]
    fields: list[str]

    def __iter__(self) -> Iterator[Record]:
        for line, text in enumerate(self.lines, self.first):
            yield Record(dict.fromkeys(self.fields, text), self.file, line)


class TextFile(FileSource):
    """A text, of which each line is a record, blank or not."""

    names_files = False

    def read(self, reading: Reading) -> Iterator[Iterable[Record]]:
        fields = self._fields(reading)
        for first, lines in line_runs(self, reading.bad):
            yield TextRun(self.path, first, lines, fields)

    def _fields(self, reading: Reading) -> list[str]:
        if isinstance(reading.columns, NewColumns) and "text" not in reading.columns.values():
            return ["text"]
        try:
            return [field for field, _ in plan_columns(["text"], reading.columns)]
        except DataError as error:
            raise DataError(f"{error}; plain text has this column only", file=self.path) from None
