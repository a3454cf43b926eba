"""Reading of whole JSON files. Torch-free."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tp_core.errors import DataError

_SPACE = re.compile(r"[ \t\r\n]*")


def whole_json(path: str) -> Any:
    """The value in a JSON file, which is read into memory.

    Raises:
        DataError: the file cannot be read, or is no JSON in UTF-8.
    """
    text = _text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _invalid(error, path) from error


def json_elements(path: str, expected: str) -> Iterator[tuple[int, Any]]:
    """The elements of the list in a JSON file, which is read into memory, each with the number of its first line.

    Args:
        expected: description of the list, for the message about another value.

    Raises:
        DataError: the file cannot be read, or is no list in UTF-8.
    """
    text, decoder = _text(path), json.JSONDecoder()
    at, line = _after_space(text, 0), 1
    if text[at : at + 1] != "[":
        raise DataError(f"expected {expected}, found {kind_of(whole_json(path))}", file=path, line=1)
    at = _after_space(text, at + 1)
    closed, end, counted = text[at : at + 1] == "]", at, 0
    while not closed:
        begin = _after_space(text, end)
        line, counted = line + text.count("\n", counted, begin), begin
        try:
            value, end = decoder.raw_decode(text, begin)
        except (ValueError, RecursionError) as error:
            raise _invalid(error, path) from error
        yield line, value
        at = _after_space(text, end)
        closed, end = text[at : at + 1] == "]", at + 1
        if not closed and text[at : at + 1] != ",":
            raise _invalid(json.JSONDecodeError("Expecting ',' delimiter", text, at), path)
    end = _after_space(text, at + 1)
    if end < len(text):
        raise _invalid(json.JSONDecodeError("Extra data", text, end), path)


def _text(path: str) -> str:
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", file=path) from error
    except UnicodeDecodeError as error:
        raise DataError(f"is no text in UTF-8: {error.reason} at byte {error.start + 1}", file=path) from error


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None  # the pattern also matches an empty text
    return found.end()


def _invalid(error: Exception, path: str) -> DataError:
    if isinstance(error, json.JSONDecodeError):
        return DataError(f"not valid JSON: {error.msg} (column {error.colno})", file=path, line=error.lineno)
    if isinstance(error, RecursionError):
        return DataError("not usable JSON: nested too deeply", file=path)
    return DataError(f"not usable JSON: {error}", file=path)


def kind_of(value: object) -> str:
    """The kind of a JSON value, for messages."""
    names: dict[type, str] = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number")
