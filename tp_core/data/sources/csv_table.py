"""Rows of CSV files, whose quoted cells may span several lines. Torch-free.

A row is good or bad as a whole. A quote that is never closed does not affect other rows: reading continues at the
second line of such a row.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator

from tp_core.data.sources.bad import BadRecords
from tp_core.data.sources.file import FileSource
from tp_core.data.sources.lines import LONGEST, line_runs
from tp_core.data.sources.table import Table
from tp_core.errors import DataError

#: Maximum size of a cell. Cells may hold whole documents; the default limit of the csv module is 128 KiB per process.
_CELL_LIMIT = 2**31 - 1

_CELL = r'(?:"[^"]*(?:""[^"]*)*"|[^",]*)'
#: A row according to RFC 4180: quotes may only enclose whole cells. The csv module accepts more.
_STRICT = re.compile(f"{_CELL}(?:,{_CELL})*")


class CsvFile(Table):
    """A CSV file."""

    def cells(self, bad: BadRecords) -> Iterator[tuple[int, list[str]]]:
        return _csv_rows(self, bad)


def _csv_rows(source: FileSource, bad: BadRecords) -> Iterator[tuple[int, list[str]]]:
    """The number of the first line and the cells of each row.

    Raises:
        DataError: the file cannot be read, or ``bad`` raises for a bad row.
    """
    lines = _Lines(source, bad)
    row, reader = lines.row, csv.reader(lines.feed(), strict=True)
    while True:
        if lines.damaged:
            lines.forget()
        lines.begin += len(row)
        row.clear()
        try:
            cells = _next_row(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "new-line character" in str(error):
                message = "a CR without LF outside of quotes; if lines end with CR, convert the file: tr '\\r' '\\n'"
            else:
                message = "a quoted cell that begins here is not closed" if lines.ended else f"not valid CSV: {error}"
            bad.report(lines.problem() or DataError(message, file=source.path, line=lines.begin))
            lines.go_back()
            reader = csv.reader(lines.feed(), strict=True)
            continue
        problem = lines.problem() if lines.damaged or lines.begin <= lines.doubtful else None
        if problem is None:
            yield lines.begin, cells
        else:
            bad.report(problem)


class _Lines:
    """The lines of a file, with a record of the lines of the present row.

    Attributes:
        row: the lines of the present row.
        begin: number of its first line.
        ended: True if the row has reached the end of the file.
        damaged: errors of lines that are not text; may include lines that are not yet read.
        doubtful: number of the last line that was already read as part of a bad row.
    """

    def __init__(self, source: FileSource, bad: BadRecords) -> None:
        self.begin, self.ended, self.doubtful = 1, False, 0
        self.row: list[str] = []
        self.damaged: dict[int, DataError] = {}
        self._file = source.path
        self._again: deque[str] = deque()
        self._runs = line_runs(source, bad, self.damaged)
        self._run: Iterator[str] = iter(())

    def feed(self) -> Iterator[str]:
        """The remaining lines, for the csv module."""
        read = self.row.append
        size, begin = 0, self.begin
        while self._again:
            line = self._again.popleft()
            read(line)
            yield line + "\n"
        while True:
            for line in self._run:
                read(line)
                yield line + "\n"
            run = next(self._runs, None)
            if run is None:
                break
            size, begin = (size + sum(map(len, run[1]), len(run[1])) if begin == self.begin else 0), self.begin
            self._run = iter(run[1])
            if size > LONGEST:
                raise csv.Error(f"a row of more than {LONGEST:,} characters")
        self.ended = True

    def forget(self) -> None:
        """Forget the errors of the row's lines."""
        for number in range(self.begin, self.begin + len(self.row)):
            self.damaged.pop(number, None)

    def problem(self) -> DataError | None:
        """The reason why the present row cannot be used although the csv module accepts it; None if it can be used."""
        for number in range(self.begin, self.begin + len(self.row)) if self.damaged else ():
            if number in self.damaged:
                return self.damaged[number]
        if self.begin <= self.doubtful and not _STRICT.fullmatch("\n".join(self.row)):
            # This line may be the rest of a cell of the bad row.
            message = "an unquoted cell contains a quote, in a line after a bad row"
            return DataError(message, file=self._file, line=self.begin)
        return None

    def go_back(self) -> None:
        """Reduce a row with an unclosed quote to its first line; the other lines are read again."""
        text = "\n".join(self.row)
        found = _STRICT.match(text)
        assert found is not None  # the pattern also matches an empty text
        # A quote at the beginning of a line or after a comma, after which no cell ends, opens a cell of another row.
        ended, self.ended = self.ended, False
        if not ended and text[: found.end() - 1][-1:] not in ("\n", ","):
            return
        self.doubtful = max(self.doubtful, self.begin + len(self.row) - 1)
        self._again.extendleft(reversed(self.row[1:]))
        del self.row[1:]


def _next_row(reader: Iterator[list[str]]) -> list[str]:
    """The next row, with cells of any length. The csv module's limit is global, so it is restored for other code."""
    before = csv.field_size_limit(_CELL_LIMIT)
    try:
        return next(reader)
    finally:
        csv.field_size_limit(before)
