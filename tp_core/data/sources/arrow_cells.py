"""Values of Arrow columns. They are validated first, since Arrow's readers do not check offsets. Torch-free."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tp_core.data.classes.names import NamedClass
from tp_core.errors import DataError


def cells_of(column: Any, name: str, file: str, first: int, errors: dict[int, DataError]) -> list[Any]:
    """The values of a column of a batch.

    Args:
        column: an Arrow array or chunked array.
        first: number of the first row.
        errors: receives an error for each row with a value that cannot be read.

    Raises:
        DataError: the column is damaged.
    """
    import pyarrow

    try:
        column.validate(full=True)
        found: list[Any] = column.to_pylist()
        return found
    except (pyarrow.ArrowException, ValueError, OverflowError):
        pass
    # Invalid UTF-8 and dates outside Python's range make single rows bad; any other error means a damaged column.
    try:
        column.cast(_untold(column.type)).validate(full=True)
    except pyarrow.ArrowException as error:
        raise DataError(f"the column '{name}' is damaged: {first_line(error)}", file=file) from error
    found = []
    for number in range(len(column)):
        try:
            found.append(column[number].as_py())
        except (pyarrow.ArrowException, ValueError, OverflowError) as error:
            reason = "it is not UTF-8" if isinstance(error, UnicodeError) else first_line(error)
            message = f"a value of the column '{name}' cannot be read: {reason}"
            errors.setdefault(first + number, DataError(message, file=file, line=first + number))
            found.append(None)
    return found


def _untold(kind: Any) -> Any:
    """An Arrow type with text types replaced by byte types."""
    import pyarrow

    if pyarrow.types.is_string(kind):
        return pyarrow.binary()
    if pyarrow.types.is_large_string(kind):
        return pyarrow.large_binary()
    if pyarrow.types.is_list(kind):
        return pyarrow.list_(_untold(kind.value_type))
    if pyarrow.types.is_large_list(kind):
        return pyarrow.large_list(_untold(kind.value_type))
    if pyarrow.types.is_struct(kind):
        return pyarrow.struct([pyarrow.field(field.name, _untold(field.type)) for field in kind])
    return kind


def class_names(metadata: Mapping[bytes, bytes] | None) -> dict[str, list[str]]:
    """The class names of each column of type ``ClassLabel``, from the metadata that ``datasets`` writes to a file."""
    try:
        noted = json.loads((metadata or {}).get(b"huggingface", b"{}"))
        features = noted.get("info", {}).get("features", {}).items()
        found = {name: each.get("names") for name, each in features if each.get("_type") == "ClassLabel"}
    except (ValueError, TypeError, AttributeError):  # metadata of another program
        return {}
    return {name: [str(one) for one in names] for name, names in found.items() if isinstance(names, list)}


def named_class(value: Any, names: list[str]) -> Any:
    """A class number with its name; any other value unchanged."""
    known = isinstance(value, int) and 0 <= value < len(names)
    return NamedClass(value, names[value]) if known else value


def first_line(error: Exception) -> str:
    """The message of a library's error, shortened to one line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
