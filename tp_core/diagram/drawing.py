"""The conversion of a layout to SVG."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

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
from tp_core.diagram.svg import GREY, INK, document, rectangle, text_at
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
_WAY = "#7b8494"


def draw(model: Contents) -> str:
    """The text of an SVG file that shows a model."""
    layout = Placing(model).run()
    parts = [
        '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 10 5 0 10z" fill="{_WAY}"/></marker></defs>',
        *_headline(layout),
        *(_line(line) for line in layout.lines),
        *(part for label in layout.labels for part in _label(label)),
        *(part for box in layout.boxes for part in (_outline(box) if box.component.shared else _box(box))),
    ]
    return document(layout.width, layout.height, model.title, parts)


def _headline(layout: Layout) -> Iterator[str]:
    y, middle = MARGIN, layout.width / 2
    for line in layout.title:
        y += 27
        yield text_at(line, middle, y - 8, HEADLINE, INK, "middle", bold=True)
    for line in layout.subtitle:
        y += 18
        yield text_at(line, middle, y - 2, SUBTITLE, GREY, "middle")


def _label(label: Label) -> Iterator[str]:
    if label.framed:
        left = label.centre - label.width / 2
        yield rectangle(left, label.y, label.width, label.height, 12, "#f3f4f6", "#d3d7de")
        for number, line in enumerate(label.lines):
            yield text_at(line, label.centre, label.y + 17 + number * LINE, FACT, GREY, "middle")
        return
    for number, line in enumerate(label.lines):
        yield text_at(line, label.centre, label.y + 15 + number * TITLE_LINE, NAME, INK, "middle", bold=True)


def _box(box: Box) -> Iterator[str]:
    paint, component = _PAINTS[box.component.kind], box.component
    yield rectangle(box.x, box.y, box.width, box.height, 10, paint.fill, paint.edge, ' stroke-width="1.4"')
    yield text_at(component.kind.upper(), box.x + PAD, box.y + 18, KIND, paint.text, bold=True, spaced=True)
    yield text_at(component.count, box.x + box.width - PAD, box.y + 18, FACT, paint.text, "end")
    for card in box.cards:
        yield from _card(card, box.x, box.y, paint)
    if component.note:
        yield text_at(component.note, box.x + PAD, box.bottom - 10, FACT, paint.text)


def _card(card: PlacedCard, dx: float, dy: float, paint: Paint) -> Iterator[str]:
    x, y = card.x + dx, card.y + dy
    if card.card.layers:  # edges of further sheets show that the card is a stack
        for shift in (STACK, STACK / 2):
            yield _sheet(x + shift, y + shift, card, paint)
    yield _sheet(x, y, card, paint)
    base = y + 9
    for line in card.title:
        base += TITLE_LINE
        yield text_at(line, x + PAD, base - 5, NAME, INK, bold=True)
    if card.card.count:
        yield text_at(card.card.count, x + card.width - PAD, y + 9 + TITLE_LINE - 5, FACT, GREY, "end")
    for line in card.facts:
        base += LINE
        yield text_at(line, x + PAD, base - 4, FACT, GREY)


def _sheet(x: float, y: float, card: PlacedCard, paint: Paint) -> str:
    return rectangle(x, y, card.width, card.height, 7, "#ffffff", paint.edge, ' stroke-width="0.8"')


def _outline(box: Box) -> Iterator[str]:
    """The outline of a component that is shared with another stream."""
    paint, middle = _PAINTS[box.component.kind], box.y + box.height / 2
    yield rectangle(box.x, box.y, box.width, box.height, 10, "#ffffff", paint.edge, ' stroke-dasharray="6 5"')
    yield text_at(box.component.kind.upper(), box.x + PAD, box.y + 18, KIND, paint.text, bold=True, spaced=True)
    names = wrap([box.component.shared], box.width - 2 * PAD, NAME, bold=True)
    top = middle - (len(names) - 1) * TITLE_LINE / 2
    yield text_at("shared with", box.centre, top - 2, FACT, GREY, "middle")
    for number, name in enumerate(names):
        yield text_at(name, box.centre, top + 17 + number * TITLE_LINE, NAME, INK, "middle", bold=True)


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
