"""Texts of records: what is one, and what is said where there is none."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from tp_core.data.classes.names import NamedClass
from tp_core.data.sources.columns import fields_of
from tp_core.data.sources.options import form_of
from tp_core.errors import DataError
from tp_core.interfaces import Record

#: Values that are no texts, in the words of who writes data.
_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "true or false"),
    (dict, "a mapping"),
    ((list, tuple), "a list"),
    ((bytes, bytearray, memoryview), "bytes"),
)

#: What separates columns in some tables.
_SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas"}


def text_field(record: Record, *names: str) -> str | None:
    """The text of the first of the fields that a record has; None where it has none of them, or only nulls.

    A number is the text that it is written as, and a class of a data set that has names for its classes is its name.

    Raises:
        DataError: the field holds something else (a list, a mapping, bytes, NaN), or no valid Unicode.
    """
    for name in names:
        value = record.value.get(name)
        if value is not None:
            return _text(value, name, record)
    return None


def required_text(record: Record, *names: str) -> str:
    """As :func:`text_field`, of a record that has to have one of the fields.

    Raises:
        DataError: it has none of them, or what it has is no text.
    """
    text = text_field(record, *names)
    if text is None:
        raise missing_field(record, " or ".join(f"'{name}'" for name in names))
    return text


def is_blank(record: Record) -> bool:
    """Tell if a record is a blank line of a plain text."""
    return set(record.value) == {"text"} and not str(record.value.get("text", "")).strip()


def missing_field(
    record: Record, expected: str, hint: str = "", place: tuple[str, int | None] | None = None
) -> DataError:
    """The error for a record that lacks fields.

    Args:
        expected: the fields in words, such as ``'text_a' or 'text'`` with their quotes.
        hint: where the field may come from.
        place: file and line that the message names; those of the record if None.
    """
    message = f"no field {expected}; the fields are {fields_of(record.value)} (data.columns renames them){hint}"
    file, line = (record.file, record.line) if place is None else place
    return DataError(message + _other_separator(record), file=file, line=line)


def _other_separator(record: Record) -> str:
    """A sentence for the only column of a CSV or TSV file whose name has the separators of other tables."""
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
        except ValueError:  # Python writes numbers of some thousand digits at most
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
