"""Sizes in bytes, as people write and read them. Torch-free."""

from __future__ import annotations

import re

from tp_core.errors import TPError

_SIZES = {"": 1} | {unit: 1000**power for power, unit in enumerate("kmgt", 1)}
_SIZES |= {f"{unit}i": 1024**power for power, unit in enumerate("kmgt", 1)}


def parse_size(text: str) -> int:
    """Bytes: ``500MB``, ``20GB``, ``1.5GiB``, a number alone.

    Raises:
        TPError: it is none.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]i?|)b?", text.strip().lower())
    if found is None:
        raise TPError(f"'{text}' is no size; expected a number with a unit, such as 500MB, 20GB or 1.5GiB")
    return int(float(found[1]) * _SIZES[found[2]])


def shown_size(size: int) -> str:
    """Bytes as people read them: ``1.5 GB``."""
    number, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if number < 1000:
            break
        number, unit = number / 1000, larger
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
