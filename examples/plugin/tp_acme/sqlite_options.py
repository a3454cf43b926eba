"""Options of the source ``acme.sqlite``. Torch-free."""

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from tp_core import PathStr, Problem, SourceConfig


class SqliteConfig(SourceConfig):
    """Reads a table of an SQLite database. Each row is a record."""

    implementation: ClassVar[str] = "tp_acme.sqlite:SqliteTable"

    path: PathStr = Field(description="file of the database")
    table: str = Field(description="name of the table; rows are read in the order of their rowid")
    columns: list[str] | None = Field(None, min_length=1, description="columns to read; default: all")

    def contents(self) -> list[str]:
        """The files with the contents: the database and, if it exists, its log, which may have the latest rows."""
        log = f"{self.path}-wal"
        return [self.path, *([log] if Path(log).is_file() else [])]

    def check_data(self) -> Iterator[Problem]:
        import sqlite3

        try:
            tables = tables_of(self.path)
        except sqlite3.Error as error:
            yield Problem("path", f"cannot be read as an SQLite database: {error}")
            return
        if self.table not in tables:
            yield Problem("table", f"there is no table '{self.table}'; {_instead(self.table, list(tables))}")
            return
        known = tables[self.table]
        for column in self.columns or ():
            if column not in known:
                yield Problem("columns", f"the table has no column '{column}'; {_instead(column, known)}")


def tables_of(path: str) -> dict[str, list[str]]:
    """The tables of a database, with their columns.

    Raises:
        sqlite3.Error: the database cannot be read.
    """
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)) as connection:
        names = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        return {name: [row[1] for row in connection.execute(f"pragma table_info({quoted(name)})")] for name in names}


def quoted(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _instead(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1)
    return f"did you mean '{near[0]}'?" if near else f"there are {', '.join(known) or 'none'}"
