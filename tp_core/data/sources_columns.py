"""The mapping from the columns of a file to the fields that a processor reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tp_core.errors import DataError
from tp_core.suggest import did_you_mean


def plan_columns(header: Iterable[str], columns: Mapping[str, str]) -> list[tuple[str, str]]:
    """Pairs of field and column: those of the mapping, and every other column under its own name.

    A column whose name the mapping gives to another column is left out.

    Args:
        header: the columns that the file has.
        columns: field → column.

    Raises:
        DataError: (without a place) when the mapping names a column that the file lacks.
    """
    names = list(header)
    for name in columns.values():
        if name not in names:
            near = did_you_mean(name, names)
            raise DataError(
                f"there is no column '{name}'" + (f"; {near}" if near else "") + f" (columns: {', '.join(names)})"
            )
    mapped = set(columns.values())
    others = [(name, name) for name in names if name not in mapped and name not in columns]
    return [*columns.items(), *others]
