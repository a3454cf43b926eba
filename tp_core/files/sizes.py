"""Conversion between sizes in bytes and text with units. Torch-free."""

from __future__ import annotations

import re

from tp_core.errors import TPError

_SIZES = {"": 1} | {unit: 1000**power for power, unit in enumerate("kmgt", 1)}
_SIZES |= {f"{unit}i": 1024**power for power, unit in enumerate("kmgt", 1)}


def parse_size(text: str) -> int:
    """Parse a size such as ``500MB``, ``20GB``, ``1.5GiB`` or a plain number into bytes.

    Raises:
        TPError: the text is not a size.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]i?|)b?", text.strip().lower())
    if found is None:
        raise TPError(f"'{text}' is no size; expected a number with a unit, such as 500MB, 20GB or 1.5GiB")
    return int(float(found[1]) * _SIZES[found[2]])


def shown_size(size: int) -> str:
    """A number of bytes as text with a unit, such as ``1.5 GB``."""
    number, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if number < 1000:
            break
        number, unit = number / 1000, larger
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
