"""A record of data, and who is told of one that cannot be used. Torch-free."""

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


#: Receives a record that cannot be used: raises, or counts it and returns.
Report = Callable[[DataError], None]
