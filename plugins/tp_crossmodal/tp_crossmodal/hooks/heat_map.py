"""Drawing of a matrix of similarities as a heat map."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tp_core.diagram.fonts import load_font

#: Label of a row or column: a text or a picture.
Label = str | Image.Image
Font = Any

_INK, _GREY, _OWN, _WRONG = (31, 41, 55), (107, 114, 128), (245, 158, 11), (208, 24, 60)
#: Colours from the smallest to the largest similarity.
_COLOURS = np.array([(247, 250, 253), (198, 219, 239), (107, 174, 214), (33, 113, 181), (8, 48, 107)], dtype=np.float64)
_LARGEST_CELL, _SMALLEST_CELL, _SIDE = 48, 14, 720
_MARGIN, _GAP, _LONGEST = 16, 8, 260


def heat_map(
    values: NDArray[Any],
    rows: list[Label],
    columns: list[Label],
    sides: tuple[str, ...],
    title: str,
    font: str | None = None,
) -> Image.Image:
    """Draw the matrix with its labels.

    Cells of true pairs, on the diagonal, have an orange frame. If another cell is the largest of its row, that cell has
    a red frame.

    Args:
        values: (n, n), rows by columns.
        sides: names of rows and columns.
        font: a font file; None searches the system for one.
    """
    count = len(values)
    cell = max(_SMALLEST_CELL, min(_LARGEST_CELL, _SIDE // count))
    tiny, small, large = (load_font(font, size) for size in (11, min(13, cell - 3), 15))
    left, top = _room(rows, small, cell), _room(columns, small, cell)
    taken = values.argmax(axis=1)
    own = int((taken == np.arange(count)).sum()), int((values.argmax(axis=0) == np.arange(count)).sum())
    one, other = sides
    head = [
        (title, large, _INK),
        (f"rows: {one}; columns: {other}", small, _GREY),
        (f"true partner is the best match: {own[0]} of {count} by row, {own[1]} of {count} by column", small, _GREY),
    ]
    x, y = _MARGIN + left + _GAP, _MARGIN + 72 + top + _GAP
    foot = "orange: true pairs; red: wrong best match of a row"
    across = (
        max(x + count * cell, _MARGIN + max(int(f.getlength(text)) for text, f, _ in [*head, (foot, small, _GREY)]))
        + _MARGIN
    )
    whole = Image.new("RGB", (across, y + count * cell + 76), "white")
    draw = ImageDraw.Draw(whole)
    for number, (text, face, colour) in enumerate(head):
        draw.text((_MARGIN, _MARGIN + 22 * number), text, fill=colour, font=face)
    low, high = float(values.min()), float(values.max())
    shades = (values - low) / max(high - low, 1e-12)
    for row in range(count):
        _beside(whole, draw, rows[row], (x - _GAP, y + row * cell), cell, small)
        _above(whole, columns[row], (x + row * cell, y - _GAP), cell, small)
        for column in range(count):
            corner = (x + column * cell, y + row * cell)
            fill = _colour(shades[row, column])
            draw.rectangle((*corner, corner[0] + cell - 1, corner[1] + cell - 1), fill=fill)
            if cell >= 34:
                middle = corner[0] + cell / 2, corner[1] + cell / 2
                ink = "white" if shades[row, column] > 0.6 else _INK
                draw.text(middle, _number(values[row, column]), fill=ink, font=tiny, anchor="mm")
    for row in range(count):  # drawn after all cells, because frames cover the edges of cells
        if taken[row] != row:
            _frame(draw, x + int(taken[row]) * cell, y + row * cell, cell, _WRONG)
        _frame(draw, x + row * cell, y + row * cell, cell, _OWN)
    _scale(draw, x, y + count * cell + 16, low, high, small)
    start = min(x, across - _MARGIN - int(small.getlength(foot)))
    draw.text((start, y + count * cell + 42), foot, fill=_GREY, font=small)
    return whole


def _number(value: float) -> str:
    """Format a number with at most four characters: .93, -.12, 4.5, -31."""
    digits = 2 if abs(value) < 0.995 else 1 if abs(value) < 9.95 else 0
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if digits == 2 else text


def _colour(shade: float) -> tuple[int, int, int]:
    places = np.linspace(0, 1, len(_COLOURS))
    red, green, blue = (round(float(np.interp(shade, places, _COLOURS[:, channel]))) for channel in range(3))
    return red, green, blue


def _room(labels: list[Label], font: Font, cell: int) -> int:
    """Length of the longest label in pixels, plus one pixel."""
    widths = [font.getlength(fitted(each, font)) if isinstance(each, str) else cell for each in labels]
    return int(max(widths)) + 1


def fitted(text: str, font: Font, longest: float = _LONGEST) -> str:
    """Put a text on one line, and shorten it if it is too long."""
    text = " ".join(text.split())
    if font.getlength(text) <= longest:
        return text
    while text and font.getlength(f"{text}...") > longest:
        text = text[:-1]
    return f"{text.rstrip()}..."


def _beside(
    whole: Image.Image, draw: ImageDraw.ImageDraw, label: Label, end: tuple[int, int], cell: int, font: Font
) -> None:
    if isinstance(label, str):
        draw.text((end[0], end[1] + cell / 2), fitted(label, font), fill=_INK, font=font, anchor="rm")
    else:
        small = _thumbnail(label, cell - 2)
        whole.paste(small, (end[0] - small.width, end[1] + (cell - small.height) // 2))


def _above(whole: Image.Image, label: Label, foot: tuple[int, int], cell: int, font: Font) -> None:
    if isinstance(label, str):
        text = fitted(label, font)
        line = Image.new("RGB", (max(1, int(font.getlength(text)) + 1), cell), "white")
        ImageDraw.Draw(line).text((0, cell / 2), text, fill=_INK, font=font, anchor="lm")
        small = line.rotate(90, expand=True)
    else:
        small = _thumbnail(label, cell - 2)
    whole.paste(small, (foot[0] + (cell - small.width) // 2, foot[1] - small.height))


def _thumbnail(picture: Image.Image, side: int) -> Image.Image:
    """Scale a picture to fit into a square; enlarged pixels stay sharp."""
    scale = side / max(picture.size)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)


def _frame(draw: ImageDraw.ImageDraw, x: int, y: int, cell: int, colour: tuple[int, int, int]) -> None:
    draw.rectangle((x, y, x + cell - 1, y + cell - 1), outline=colour, width=3 if cell > 24 else 2)


def _scale(draw: ImageDraw.ImageDraw, x: int, y: int, low: float, high: float, font: Font) -> None:
    first = f"{low:.2f}"
    start = x + int(font.getlength(first)) + _GAP
    draw.text((x, y + 7), first, fill=_GREY, font=font, anchor="lm")
    for step in range(100):
        draw.line((start + step, y, start + step, y + 14), fill=_colour(step / 99))
    draw.text((start + 100 + _GAP, y + 7), f"{high:.2f}", fill=_GREY, font=font, anchor="lm")
