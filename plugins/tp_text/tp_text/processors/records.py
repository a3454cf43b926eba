"""Rows in chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

#: Rows that are written at a time.
WRITE = 1000


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
