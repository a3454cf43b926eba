"""The mapping from the columns of a file to the fields that a processor reads. Torch-free."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import Any

from tp_core.data.sources.bad import BadRecords
from tp_core.errors import DataError
from tp_core.suggest import did_you_mean

#: Maximum number of columns of a file. Some thousand records with all their cells are in memory at the same time.
MOST_COLUMNS = 10_000

#: Maximum number of names in a message.
_SHOWN = 20


class NewColumns(dict[str, str]):
    """Field → column from a spec, for new records, which may lack fields that only training reads.

    New records may also come from another kind of file: plain text, or files that use the field's own name (such as a
    folder of pictures, if training has read a table of pictures).

    Attributes:
        optional: the fields whose columns may be missing.
    """

    def __init__(self, columns: Mapping[str, str], optional: Collection[str]) -> None:
        super().__init__(columns)
        self.optional = frozenset(optional)


def plan_columns(header: Iterable[str], columns: Mapping[str, str]) -> list[tuple[str, str]]:
    """Pairs of field and column: those of the mapping, and every other column under its own name.

    A column is left out if the mapping uses its name as the field of another column. If no column equals a name of the
    mapping exactly, names are compared in Unicode form NFC.

    Args:
        header: the columns of the file.
        columns: field → column. Optional columns of :class:`NewColumns` are left out if the file lacks them.

    Raises:
        DataError: the mapping names a column that the file lacks (the error has no file and line).
    """
    names = dict.fromkeys(header)
    chosen = {}
    optional = {*columns.optional, *names} if isinstance(columns, NewColumns) else ()
    for field, name in columns.items():
        found = _equal(name, names)
        if found is not None:
            chosen[field] = found
        elif field not in optional:
            near = did_you_mean(name, names)
            shown = f" (columns: {listed(names)})"
            raise DataError(f"there is no column '{name}'" + (f"; {near}" if near else "") + shown)
    mapped = set(chosen.values())
    others = [(name, name) for name in names if name not in mapped and name not in chosen]
    return [*chosen.items(), *others]


def by_field(
    value: dict[str, Any], file: str, line: int, columns: Mapping[str, str], bad: BadRecords
) -> dict[str, Any] | None:
    """The fields of a single record with its own columns; None if a column is missing, which is reported to ``bad``."""
    if not columns:
        return value
    try:
        plan = plan_columns(value, columns)
    except DataError as error:
        bad.report(DataError(str(error), file=file, line=line))
        return None
    return {field: value[name] for field, name in plan}


def listed(names: Collection[str]) -> str:
    """Names as text for a message: the first ones, and the number of further ones."""
    more = len(names) - _SHOWN
    first = ", ".join(islice(names, _SHOWN))
    return f"{first} and {more:,} more" if more > 0 else first


def fields_of(value: Mapping[str, Any]) -> str:
    """The fields of a record as text for a message, with a note for null and empty fields."""
    return listed([name + _nothing(cell) for name, cell in value.items()]) or "none"


def _nothing(cell: object) -> str:
    if cell is None:
        return " (null)"
    return " (empty)" if isinstance(cell, str) and not cell else ""


def _equal(name: str, names: Mapping[str, None]) -> str | None:
    """The one among the names that equals a name."""
    if name in names or name.isascii():
        return name if name in names else None
    composed = unicodedata.normalize("NFC", name)
    return next((each for each in names if unicodedata.normalize("NFC", each) == composed), None)
