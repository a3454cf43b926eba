"""Reading of a whole JSON file. Torch-free."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tp_core.errors import DataError


def whole_json(path: str) -> Any:
    """The value in a JSON file, which is read into memory.

    Raises:
        DataError: the file cannot be read, or is no JSON in UTF-8.
    """
    try:
        return json.loads(Path(path).read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", file=path) from error
    except json.JSONDecodeError as error:
        raise DataError(f"not valid JSON: {error.msg} (column {error.colno})", file=path, line=error.lineno) from error
    except UnicodeDecodeError as error:
        raise DataError(f"is no text in UTF-8: {error.reason} at byte {error.start + 1}", file=path) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"not usable JSON: {error}", file=path) from error


def kind_of(value: object) -> str:
    """The kind of a JSON value, for messages."""
    names: dict[type, str] = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number")
