"""The tables of the original's fine-tuning scripts."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tp_core.errors import TPError


class Table(NamedTuple):
    """A TSV file with a header.

    Attributes:
        path: the file.
        rows: a mapping of each row; lines of the file begin with 2.
    """

    path: str
    rows: list[dict[str, str]]

    def classes(self, separator: str | None = None) -> int:
        """The number of classes: one more than the greatest number in the column ``label``, at least two.

        Args:
            separator: what stands between the labels of a row; None: a row has one.

        Raises:
            TPError: a label is no number of a class.
        """
        numbers = [self._number(label, line) for line, label in self._labels(separator)]
        return max(2, 1 + max(numbers))

    def _labels(self, separator: str | None) -> Iterator[tuple[int, str]]:
        for line, row in enumerate(self.rows, 2):
            text = row["label"] or ""
            for label in text.split(separator) if separator else (text,):
                yield line, label

    def _number(self, label: str, line: int) -> int:
        try:
            number = int(label)
        except ValueError:
            number = -1
        if number < 0:
            raise TPError(f"{self.path}:{line}: the label is '{label}'; expected the number of a class, 0 or more")
        return number


def read_table(path: str, *columns: str) -> Table:
    """Read a table.

    Args:
        path: the file.
        columns: columns that it must have.

    Raises:
        TPError: the file cannot be read, or has no rows or lacks a column.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            found = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            rows, names = list(found), list(found.fieldnames or ())
    except (OSError, UnicodeDecodeError) as error:
        raise TPError(f"{path}: the file is needed for the spec and cannot be read: {error}") from None
    missing = [column for column in columns if column not in names]
    if missing or not rows:
        shown = f"its first line is {names[:6]}" if missing else "it has no rows"
        wanted = " and ".join(repr(column) for column in columns)
        raise TPError(f"{path}:1: expected a table with {wanted} in its header; {shown}")
    return Table(path, rows)
