"""The mapping from the columns of a file to the fields that a processor reads. Torch-free."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import Any

from tp_core.data.sources.bad import BadRecords
from tp_core.errors import DataError
from tp_core.suggest import did_you_mean

#: Columns that a file may have. A record is in memory with all of its cells, and so are some thousand records.
MOST_COLUMNS = 10_000

#: Names that a message lists.
_SHOWN = 20


class NewColumns(dict[str, str]):
    """Field → column as a spec has it, for new records, which may lack what only training reads.

    New records may also be in a file of another kind: one that has the field by its own name (a folder of pictures,
    where training read a table of them), or plain text.

    Attributes:
        optional: the fields whose columns a file may lack.
    """

    def __init__(self, columns: Mapping[str, str], optional: Collection[str]) -> None:
        super().__init__(columns)
        self.optional = frozenset(optional)


def plan_columns(header: Iterable[str], columns: Mapping[str, str]) -> list[tuple[str, str]]:
    """Pairs of field and column: those of the mapping, and every other column under its own name.

    A column whose name the mapping gives to another column is left out. Names of the mapping mean the column that is
    equal to them as Unicode has it (NFC), if none is equal character by character.

    Args:
        header: the columns that the file has.
        columns: field → column; those that :class:`NewColumns` calls optional are left out where a file lacks them.

    Raises:
        DataError: (without a place) when the mapping names a column that the file lacks.
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
    """The fields of a record that has columns of its own; None if it lacks one, of which ``bad`` is told."""
    if not columns:
        return value
    try:
        plan = plan_columns(value, columns)
    except DataError as error:
        bad.report(DataError(str(error), file=file, line=line))
        return None
    return {field: value[name] for field, name in plan}


def listed(names: Collection[str]) -> str:
    """Names as a message lists them: the first ones, and how many there are besides."""
    more = len(names) - _SHOWN
    first = ", ".join(islice(names, _SHOWN))
    return f"{first} and {more:,} more" if more > 0 else first


def fields_of(value: Mapping[str, Any]) -> str:
    """The fields of a record as a message lists them, and which of them hold nothing."""
    return listed([name + _nothing(cell) for name, cell in value.items()]) or "none"


def _nothing(cell: object) -> str:
    if cell is None:
        return " (null)"
    return " (empty)" if isinstance(cell, str) and not cell else ""


def _equal(name: str, names: Mapping[str, None]) -> str | None:
    """The one of the names that is equal to a name."""
    if name in names or name.isascii():
        return name if name in names else None
    composed = unicodedata.normalize("NFC", name)
    return next((each for each in names if unicodedata.normalize("NFC", each) == composed), None)
