"""Text fields of records, with error messages for missing or invalid texts."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

from tp_core.data.classes.names import NamedClass
from tp_core.data.sources.columns import fields_of
from tp_core.data.sources.options import form_of
from tp_core.errors import DataError
from tp_core.interfaces import Record

#: Names of non-text types, for messages.
_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "true or false"),
    (dict, "a mapping"),
    ((list, tuple), "a list"),
    ((bytes, bytearray, memoryview), "bytes"),
)

#: A number as it is written in a table.
_WRITTEN = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")

#: Column separators of other table formats.
_SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas"}


def text_field(record: Record, *names: str) -> str | None:
    """The text of the first given field that a record has; None if all are missing or null.

    A number becomes its written form. A class index becomes the class name, if the data set has class names.

    Raises:
        DataError: the field holds another type (a list, a mapping, bytes, NaN) or invalid Unicode.
    """
    for name in names:
        value = record.value.get(name)
        if value is not None:
            return _text(value, name, record)
    return None


def required_text(record: Record, *names: str) -> str:
    """Like :func:`text_field`, but one of the fields is required.

    Raises:
        DataError: all fields are missing, or the value is not a text.
    """
    text = text_field(record, *names)
    if text is None:
        raise missing_field(record, " or ".join(f"'{name}'" for name in names))
    return text


def number_field(record: Record, name: str) -> float:
    """The number in a field, which may be written as a text.

    Raises:
        DataError: the field is missing or null, or holds anything else than a finite number.
    """
    value = record.value.get(name)
    if value is None:
        raise missing_field(record, f"'{name}'")
    found = math.nan
    if isinstance(value, str) and _WRITTEN.fullmatch(value.strip()):
        found = float(value)
    elif isinstance(value, (Real, Decimal)) and not isinstance(value, (bool, NamedClass)):
        try:
            found = float(value)
        except OverflowError:
            found = math.inf
    if not math.isfinite(found):
        shown = "nothing" if value == "" else repr(value)[:40]
        raise DataError(f"expected a finite number in '{name}', got {shown}", file=record.file, line=record.line)
    return found


def is_blank(record: Record) -> bool:
    """True if a record is a blank line of a plain text file."""
    return set(record.value) == {"text"} and not str(record.value.get("text", "")).strip()


def missing_field(
    record: Record, expected: str, hint: str = "", place: tuple[str, int | None] | None = None
) -> DataError:
    """The error for a record that lacks fields.

    Args:
        expected: description of the fields, such as ``'text_a' or 'text'`` with their quotes.
        hint: possible source of the field.
        place: file and line for the message; default: those of the record.
    """
    message = f"no field {expected}; the fields are {fields_of(record.value)} (data.columns renames them){hint}"
    file, line = (record.file, record.line) if place is None else place
    return DataError(message + _other_separator(record), file=file, line=line)


def _other_separator(record: Record) -> str:
    """A sentence about a wrong separator, if a CSV or TSV file has one column whose name contains other separators."""
    name = next(iter(record.value), "")
    marks = [words for mark, words in _SEPARATORS.items() if mark in name]
    if len(record.value) != 1 or not marks or form_of(record.file) not in ("csv", "tsv"):
        return ""
    right = "those of a .csv are by commas, of a .tsv by tabs"
    return f"; the columns seem to be separated by {marks[0]}: {right}"


def _text(value: Any, name: str, record: Record) -> str:
    if not isinstance(value, str):
        value = value.name if isinstance(value, NamedClass) else _number(value, name, record)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            half = (
                f"character {error.start + 1} of '{name}' is half of a surrogate pair (U+{ord(value[error.start]):04X})"
            )
            raise DataError(f"{half}, which is not valid Unicode", file=record.file, line=record.line) from None
    return str(value)


def _number(value: Any, name: str, record: Record) -> str:
    if isinstance(value, Integral) and not isinstance(value, bool):
        try:
            return str(int(value))
        except ValueError:  # Python refuses to format numbers with thousands of digits
            what = "a number of too many digits"
            raise DataError(f"expected a text in '{name}', got {what}", file=record.file, line=record.line) from None
    if isinstance(value, Real) and not isinstance(value, bool):
        number = float(value)
        if math.isfinite(number):
            return str(number)
        what = f"{number} (not a number)" if math.isnan(number) else str(number)
    else:
        what = next((words for kind, words in _KINDS if isinstance(value, kind)), f"of the type {type(value).__name__}")
    raise DataError(f"expected a text in '{name}', got {what}", file=record.file, line=record.line)
