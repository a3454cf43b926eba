"""A data record, and the function that receives records that cannot be used. Torch-free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tp_core.errors import DataError


@dataclass(frozen=True)
class Record:
    """One record of a source: its fields and the place it came from (line numbers start at 1)."""

    value: dict[str, Any]
    file: str
    line: int


#: A function that is called for a record that cannot be used; it raises the error, or counts the record and returns.
Report = Callable[[DataError], None]
