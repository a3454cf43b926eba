"""Rows of files whose first line names the columns: TSV, and the common base of TSV and CSV. Torch-free."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator

from tp_core.data.sources.bad import BadRecords
from tp_core.data.sources.base import Reading
from tp_core.data.sources.columns import MOST_COLUMNS, listed, plan_columns
from tp_core.data.sources.file import RowFile, Rows
from tp_core.data.sources.lines import line_runs
from tp_core.data.sources.options import TableConfig
from tp_core.errors import DataError


class Table(RowFile):
    """A file with rows of cells; the first row, or the spec, names the columns."""

    config: TableConfig

    @abstractmethod
    def cells(self, bad: BadRecords) -> Iterator[tuple[int, list[str]]]:
        """The number of the first line and the cells of each row, including the header."""

    def first_columns(self) -> dict[str, bool]:
        return dict.fromkeys(self.config.names or next(self.cells(BadRecords()), (1, []))[1], False)

    def identity(self) -> str:
        return "\t".join(self.config.names or ())

    def rows(self, reading: Reading) -> Rows:
        """The number of the first line and the cells by field of each row; empty lines are ignored.

        Raises:
            DataError: the header is missing, cannot be read, has too many columns or lacks a required column, or a bad
                row is fatal.
        """
        rows = self.cells(reading.bad)
        header = self.config.names or self._header(rows, reading.bad)
        width = len(header)
        if width > MOST_COLUMNS:
            message = f"the table has {width:,} columns; at most {MOST_COLUMNS:,} are read"
            reading.bad.report(DataError(message, file=self.path, line=1))
            return
        # Columns without a name are ignored; spreadsheet programs write them after the other columns.
        named = [(name, index) for index, name in enumerate(header) if name]
        places = dict(named)
        if len(places) < len(named):
            twice = min(name for name, count in Counter(name for name, _ in named).items() if count > 1)
            raise DataError(f"two columns are named '{twice}'", file=self.path, line=1)
        try:
            plan = plan_columns(places, reading.columns)
        except DataError as error:
            raise DataError(str(error), file=self.path, line=1) from None
        fields = [(field, places[name]) for field, name in plan]
        for line, cells in rows:
            if len(cells) == width:
                yield line, {field: cells[index] for field, index in fields}
            elif cells not in ([], [""]):
                message = f"expected {width} columns ({listed(header)}), found {len(cells)}"
                reading.bad.report(DataError(message, file=self.path, line=line))

    def _header(self, rows: Iterator[tuple[int, list[str]]], bad: BadRecords) -> list[str]:
        """The names of the columns in the first line."""
        with bad.held() as errors:
            line, header = next(rows, (1, [""]))
        if errors:
            raise errors[0]  # without a header, no row can be used
        if line != 1 or not any(header):
            raise DataError(
                "the first line must name the columns; {tsv: {path: ..., names: [...]}} reads a file without names",
                file=self.path,
                line=1,
            )
        return header


class TsvFile(Table):
    """A TSV file. Tabs separate cells; quotes have no special meaning, as in the files of GLUE."""

    def cells(self, bad: BadRecords) -> Iterator[tuple[int, list[str]]]:
        for first, lines in line_runs(self, bad):
            for number, line in enumerate(lines, first):
                yield number, line.split("\t")
