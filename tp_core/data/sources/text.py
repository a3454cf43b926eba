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
    """Lines of plain text, each of which is a record. Records are made only during iteration.

    Attributes:
        file: the file with the lines.
        first: number of the first line.
        lines: the lines, without their ends.
        fields: the fields of each record; each of them holds the line.
    """

    file: str
    first: int
    lines: list[str]
    fields: list[str]

    def __iter__(self) -> Iterator[Record]:
        for line, text in enumerate(self.lines, self.first):
            yield Record(dict.fromkeys(self.fields, text), self.file, line)


class TextFile(FileSource):
    """A text file. Each line is a record, also a blank line."""

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
