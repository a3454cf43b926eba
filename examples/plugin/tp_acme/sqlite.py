"""A source that reads a table of an SQLite database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tp_acme.sqlite_options import SqliteConfig, quoted, tables_of
from tp_core import DataError, Record, Report, Source


class SqliteTable(Source):
    """The rows of a table."""

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
                # A text may hold any bytes: those that are no UTF-8 make a bad record, and not the end.
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
    """False for a text with bytes that are none."""
    if not isinstance(cell, str) or cell.isascii():
        return True
    return not any("\udc80" <= character <= "\udcff" for character in cell)
