"""Grouping of rows into chunks of columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

#: Number of rows per chunk.
WRITE = 1000


def in_columns(rows: Iterable[dict[str, Any]], size: int = WRITE) -> Iterator[dict[str, list[Any]]]:
    """Group rows into chunks of ``size`` rows; each chunk maps column names to values."""
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
