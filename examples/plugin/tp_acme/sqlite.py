"""The source ``acme.sqlite``."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tp_acme.sqlite_options import SqliteConfig, quoted, tables_of
from tp_core import DataError, Record, Report, Source


class SqliteTable(Source):
    """Reads the rows of a table of an SQLite database as records."""

    def __init__(self, config: SqliteConfig) -> None:
        super().__init__(config)
        self.file, self.table, self.chosen = config.path, config.table, config.columns

    def columns(self) -> list[str]:
        try:
            tables = tables_of(self.file)
        except sqlite3.Error as error:
            raise DataError(f"cannot be read as an SQLite database: {error}", file=self.file) from error
        if self.table not in tables:
            raise DataError(f"there is no table '{self.table}'", file=self.file)
        return self.chosen or tables[self.table]

    def records(self, report: Report) -> Iterator[Record]:
        names = self.columns()
        query = f"select {', '.join(map(quoted, names))} from {quoted(self.table)} order by rowid"
        try:
            with closing(sqlite3.connect(f"{Path(self.file).absolute().as_uri()}?mode=ro", uri=True)) as connection:
                # A text may contain any bytes. Invalid UTF-8 makes a bad record, but does not end the reading.
                connection.text_factory = lambda data: data.decode(errors="surrogateescape")
                for number, cells in enumerate(connection.execute(query), 1):
                    damaged = next((name for name, cell in zip(names, cells) if not _is_whole(cell)), None)
                    if damaged is None:
                        yield Record(dict(zip(names, cells)), self.file, number)
                    else:
                        report(DataError(f"the column '{damaged}' is not UTF-8", file=self.file, line=number))
        except sqlite3.Error as error:
            raise DataError(f"the table '{self.table}' cannot be read: {error}", file=self.file) from error


def _is_whole(cell: object) -> bool:
    """False if the cell is a text that contained invalid UTF-8."""
    if not isinstance(cell, str) or cell.isascii():
        return True
    return not any("\udc80" <= character <= "\udcff" for character in cell)
