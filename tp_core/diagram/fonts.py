"""Fonts of the charts that hooks draw. Needs Pillow."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

#: Fonts of many scripts, by the names under which systems have them.
_FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf")


def load_font(file: str | None, size: int) -> FreeTypeFont | ImageFont:
    """A font file, else one of the system, else Pillow's own."""
    from PIL import ImageFont

    for name in [file] if file is not None else _FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def is_font(file: str) -> bool:
    """True if the file is a font."""
    from PIL import ImageFont

    try:
        ImageFont.truetype(file, 12)
    except OSError:
        return False
    return True
