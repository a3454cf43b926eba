"""Fields of records, and rows in chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tp_core.errors import DataError
from tp_core.interfaces import Record

#: Rows that are written at a time.
WRITE = 1000


def field(record: Record, *names: str) -> str | None:
    """The text of the first of the fields that the record has, or None."""
    value = next((v for name in names if (v := record.value.get(name)) is not None), None)
    return None if value is None else str(value)


def missing(record: Record, expected: str) -> DataError:
    """The error for a record that lacks fields; ``expected`` says which, in words."""
    fields = ", ".join(record.value) or "none"
    message = f"no field {expected}; the fields are {fields} (data.columns renames them)"
    return DataError(message, file=record.file, line=record.line)


def in_columns(rows: Iterable[dict[str, Any]], size: int = WRITE) -> Iterator[dict[str, list[Any]]]:
    """Rows as chunks of columns."""
    columns: dict[str, list[Any]] = {}
    count = 0
    for row in rows:
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
        count += 1
        if count == size:
            yield columns
            columns, count = {}, 0
    yield columns
