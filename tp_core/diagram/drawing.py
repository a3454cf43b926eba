"""The conversion of a layout to SVG."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from xml.sax.saxutils import escape

from tp_core.diagram.contents import Contents
from tp_core.diagram.layout import (
    FACT,
    HEADLINE,
    KIND,
    LINE,
    MARGIN,
    NAME,
    PAD,
    STACK,
    SUBTITLE,
    TITLE_LINE,
    Box,
    Label,
    Layout,
    Line,
    PlacedCard,
    Placing,
)
from tp_core.diagram.text import wrap


class Paint(NamedTuple):
    """Colours of a kind of component."""

    fill: str
    edge: str
    text: str


_PAINTS = {
    "embedding": Paint("#e8f1fb", "#6ea3d8", "#1f5c99"),
    "encoder": Paint("#e6f5ee", "#5bb08a", "#1b6b4a"),
    "target embedding": Paint("#efecfb", "#9a8bd8", "#544399"),
    "decoder": Paint("#fdf2e2", "#dda552", "#8f5a0c"),
    "target": Paint("#fcebee", "#d97f90", "#9b2f45"),
}
_INK, _GREY, _WAY = "#1f2937", "#5b6472", "#7b8494"
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"


def draw(model: Contents) -> str:
    """The text of an SVG file that shows a model."""
    layout = Placing(model).run()
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{layout.width:.0f}" height="{layout.height:.0f}" '
        f'viewBox="0 0 {layout.width:.0f} {layout.height:.0f}" role="img" font-family="{escape(_FONT)}">',
        f"<title>{_plain(model.title)}</title>",
        '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 10 5 0 10z" fill="{_WAY}"/></marker></defs>',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        *_headline(layout),
        *(_line(line) for line in layout.lines),
        *(part for label in layout.labels for part in _label(label)),
        *(part for box in layout.boxes for part in (_outline(box) if box.component.shared else _box(box))),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _plain(text: str) -> str:
    """Text escaped for XML, with U+FFFD in place of characters that XML does not allow."""
    return escape(re.sub("[\x00-\x1f\ud800-\udfff\ufffe\uffff]", "\ufffd", text))


def _text(
    text: str,
    x: float,
    y: float,
    size: float,
    fill: str,
    anchor: str = "start",
    bold: bool = False,
    spaced: bool = False,
) -> str:
    more = ' font-weight="600"' * bold + ' letter-spacing="0.6"' * spaced
    more += f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{fill}"{more}>{_plain(text)}</text>'


def _rect(x: float, y: float, width: float, height: float, radius: float, fill: str, edge: str, more: str = "") -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius:g}" '
        f'fill="{fill}" stroke="{edge}"{more}/>'
    )


def _headline(layout: Layout) -> Iterator[str]:
    y, middle = MARGIN, layout.width / 2
    for line in layout.title:
        y += 27
        yield _text(line, middle, y - 8, HEADLINE, _INK, "middle", bold=True)
    for line in layout.subtitle:
        y += 18
        yield _text(line, middle, y - 2, SUBTITLE, _GREY, "middle")


def _label(label: Label) -> Iterator[str]:
    if label.framed:
        left = label.centre - label.width / 2
        yield _rect(left, label.y, label.width, label.height, 12, "#f3f4f6", "#d3d7de")
        for number, line in enumerate(label.lines):
            yield _text(line, label.centre, label.y + 17 + number * LINE, FACT, _GREY, "middle")
        return
    for number, line in enumerate(label.lines):
        yield _text(line, label.centre, label.y + 15 + number * TITLE_LINE, NAME, _INK, "middle", bold=True)


def _box(box: Box) -> Iterator[str]:
    paint, component = _PAINTS[box.component.kind], box.component
    yield _rect(box.x, box.y, box.width, box.height, 10, paint.fill, paint.edge, ' stroke-width="1.4"')
    yield _text(component.kind.upper(), box.x + PAD, box.y + 18, KIND, paint.text, bold=True, spaced=True)
    yield _text(component.count, box.x + box.width - PAD, box.y + 18, FACT, paint.text, "end")
    for card in box.cards:
        yield from _card(card, box.x, box.y, paint)
    if component.note:
        yield _text(component.note, box.x + PAD, box.bottom - 10, FACT, paint.text)


def _card(card: PlacedCard, dx: float, dy: float, paint: Paint) -> Iterator[str]:
    x, y = card.x + dx, card.y + dy
    if card.card.layers:  # edges of further sheets show that the card is a stack
        for shift in (STACK, STACK / 2):
            yield _rect(x + shift, y + shift, card.width, card.height, 7, "#ffffff", paint.edge, ' stroke-width="0.8"')
    yield _rect(x, y, card.width, card.height, 7, "#ffffff", paint.edge, ' stroke-width="0.8"')
    base = y + 9
    for line in card.title:
        base += TITLE_LINE
        yield _text(line, x + PAD, base - 5, NAME, _INK, bold=True)
    if card.card.count:
        yield _text(card.card.count, x + card.width - PAD, y + 9 + TITLE_LINE - 5, FACT, _GREY, "end")
    for line in card.facts:
        base += LINE
        yield _text(line, x + PAD, base - 4, FACT, _GREY)


def _outline(box: Box) -> Iterator[str]:
    """The outline of a component that is shared with another stream."""
    paint, middle = _PAINTS[box.component.kind], box.y + box.height / 2
    yield _rect(box.x, box.y, box.width, box.height, 10, "#ffffff", paint.edge, ' stroke-dasharray="6 5"')
    yield _text(box.component.kind.upper(), box.x + PAD, box.y + 18, KIND, paint.text, bold=True, spaced=True)
    names = wrap([box.component.shared], box.width - 2 * PAD, NAME, bold=True)
    top = middle - (len(names) - 1) * TITLE_LINE / 2
    yield _text("shared with", box.centre, top - 2, FACT, _GREY, "middle")
    for number, name in enumerate(names):
        yield _text(name, box.centre, top + 17 + number * TITLE_LINE, NAME, _INK, "middle", bold=True)


def _line(line: Line) -> str:
    (x, y), *_ = line.points
    path = f"M{x:.1f} {y:.1f}"
    for before, corner, after in zip(line.points, line.points[1:], line.points[2:]):
        # The radius of a corner is limited by the length of its legs.
        legs = [abs(p[0] - corner[0]) + abs(p[1] - corner[1]) for p in (before, after)]
        radius = min(8.0, *(leg / 2 for leg in legs))
        (x1, y1), (x2, y2) = (_towards(corner, point, radius) for point in (before, after))
        path += f"L{x1:.1f} {y1:.1f}Q{corner[0]:.1f} {corner[1]:.1f} {x2:.1f} {y2:.1f}"
    x, y = line.points[-1]
    end = ' stroke-dasharray="4 4"' if line.dashed else ' marker-end="url(#head)"'
    return f'<path d="{path}L{x:.1f} {y:.1f}" fill="none" stroke="{_WAY}" stroke-width="1.5"{end}/>'


def _towards(start: tuple[float, float], end: tuple[float, float], distance: float) -> tuple[float, float]:
    length = max(abs(end[0] - start[0]) + abs(end[1] - start[1]), 1e-9)
    share = distance / length
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share
