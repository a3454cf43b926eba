"""Line breaks of text, from widths that are estimated without loading a font."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

#: Advance widths of DejaVu Sans in thousandths of the font size. It is the widest of the fonts that the SVG lists, so
#: that text fits its box in all of them. Other letters and digits have the widths in ``_advance``.
_WIDTHS = {
    **dict.fromkeys("ijl'|", 345),
    **dict.fromkeys(" .,:;/\\!Itf()[]rI-", 415),
    **dict.fromkeys('sczkxvy_"*?J·', 600),
    **dict.fromkeys("w", 820),
    **dict.fromkeys("mMOQDGHNU@%&<>=+~#—→×", 880),
    **dict.fromkeys("mW%@…—", 1000),
}


def width(text: str, size: float, bold: bool = False) -> float:
    """The estimated maximum width of a text, in the unit of ``size``."""
    return sum(_advance(character) for character in text) * size / 1000 * (1.14 if bold else 1.0)


def _advance(character: str) -> int:
    if character in _WIDTHS:
        return _WIDTHS[character]
    if unicodedata.combining(character):
        return 0
    if not character.isascii():
        return 1300 if unicodedata.east_asian_width(character) in "WF" else 900
    return 780 if character.isupper() else 640


def wrap(items: Iterable[str], room: float, size: float, bold: bool = False, joint: str = " ") -> list[str]:
    """Break items into lines of at most the width ``room``, with ``joint`` between the items of one line.

    An item that is wider than a line is broken between its words. A word that is wider than a line is broken after a
    hyphen, underscore, dot or slash, or else between any two characters.
    """
    lines: list[str] = []
    for item in items:
        extended = f"{lines[-1]}{joint}{item}" if lines else item
        if lines and width(extended, size, bold) <= room:
            lines[-1] = extended
        elif width(item, size, bold) <= room or len(item) <= 1:
            lines.append(item)
        else:
            pieces = item.split(" ") if " " in item else re.findall(r"[^-_./]*[-_./]|[^-_./]+", item)
            pieces = pieces if len(pieces) > 1 else list(item)
            lines += wrap(pieces, room, size, bold, " " if " " in item else "")
    return lines


def short(number: int) -> str:
    """A count with three significant digits, such as 1.54M."""
    for factor, unit in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if number >= factor * 0.9995:
            return f"{number / factor:.3g}{unit}"
    return str(number)
