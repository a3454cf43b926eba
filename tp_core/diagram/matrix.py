"""A picture of a confusion matrix as SVG."""

from __future__ import annotations

from collections.abc import Iterator

from tp_core.diagram.svg import GREY, INK, document, rectangle, text_at
from tp_core.diagram.text import short, width
from tp_core.metrics.tables import Matrix

#: Size of a cell with a number; without numbers, the matrix is at most ``_WHOLE`` wide, if cells have a pixel at least.
_CELL, _WHOLE = 46.0, 1200.0

#: Maximum number of classes whose cells have numbers.
_NUMBERED = 30

_MARGIN, _GAP, _HEADLINE, _AXIS = 24.0, 8.0, 20.0, 14.0

#: Colours of an empty and of a full cell, (red, green, blue).
_EMPTY, _FULL = (247, 250, 253), (23, 84, 148)


def draw_matrix(matrix: Matrix, title: str = "Confusion matrix") -> str:
    """The text of an SVG file that shows a confusion matrix.

    The colour of a cell is the share of its row: of the samples with this label, those with this prediction. Up to 30
    classes, cells have the numbers of samples. Names are left out where cells are smaller than a letter.
    """
    size = len(matrix.names)
    cell = _CELL if size <= _NUMBERED else max(1.0, min(_CELL, _WHOLE / size))
    letters = min(13.0, cell * 0.9)
    room = max(width(name, letters) for name in matrix.names) if letters >= 5 else 0.0
    left = _MARGIN + _AXIS + _GAP + room + _GAP
    top = _MARGIN + _HEADLINE + _GAP + _AXIS + _GAP + room + _GAP
    extent = size * cell
    shown = short(int(matrix.counts.sum()))
    wide = max(left + extent + _MARGIN, 2 * _MARGIN + width(f"{title} ({shown} samples)", 16, bold=True))
    parts = [
        text_at(f"{title} ({shown} samples)", _MARGIN, _MARGIN + 14, 16, INK, bold=True),
        text_at("prediction", left + extent / 2, _MARGIN + _HEADLINE + _GAP + 12, _AXIS, GREY, "middle"),
        text_at("label", _MARGIN + 12, top + extent / 2, _AXIS, GREY, "middle", turned=True),
        *(_names(matrix, left, top, cell, letters) if room else ()),
        *_cells(matrix, left, top, cell),
        rectangle(left, top, extent, extent, 0, "none", GREY),
    ]
    return document(wide, top + extent + _MARGIN, title, parts)


def _names(matrix: Matrix, left: float, top: float, cell: float, letters: float) -> Iterator[str]:
    for number, name in enumerate(matrix.names):
        middle = (number + 0.5) * cell + letters * 0.35
        yield text_at(name, left - _GAP, top + middle, letters, INK, "end")
        yield text_at(name, left + middle, top - _GAP, letters, INK, turned=True)


def _cells(matrix: Matrix, left: float, top: float, cell: float) -> Iterator[str]:
    numbered = len(matrix.names) <= _NUMBERED
    for row, counts in enumerate(matrix.counts.tolist()):
        total = sum(counts)
        for column, count in enumerate(counts):
            if not count and not numbered:  # an empty cell of a large matrix is the background
                continue
            share = count / total if total else 0.0
            x, y, fill = left + column * cell, top + row * cell, _colour(share)
            yield rectangle(x, y, cell, cell, 0, fill, "#ffffff" if numbered else "none")
            if numbered:
                ink = "#ffffff" if share > 0.5 else INK
                yield text_at(short(count), x + cell / 2, y + cell / 2 + 4.5, 13, ink, "middle")


def _colour(share: float) -> str:
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(_EMPTY, _FULL))
