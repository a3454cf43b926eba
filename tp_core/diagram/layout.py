"""The layout of a diagram: streams side by side, data flow downwards, the decoder beside or below the encoders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tp_core.diagram.contents import Card, Component, Contents, Side
from tp_core.diagram.text import width, wrap

#: Widths and distances, in pixels of the SVG.
WIDTH, PAD, MARGIN = 264.0, 12.0, 32.0
COLUMN_GAP, ROW_GAP, BUS_GAP = 48.0, 36.0, 12.0
HEAD, LINE, TITLE_LINE, NOTE, CARD_GAP, STACK = 27.0, 17.0, 20.0, 22.0, 8.0, 6.0
#: Font sizes.
NAME, FACT, KIND, HEADLINE, SUBTITLE = 15.0, 12.0, 11.0, 21.0, 13.0

Point = tuple[float, float]


@dataclass
class PlacedCard:
    """A card with its lines of text; x and y are its upper left corner, relative to the box."""

    card: Card
    x: float
    y: float
    width: float
    height: float
    title: list[str]
    facts: list[str]


@dataclass
class Box:
    """The rectangle of a component; x and y are its upper left corner."""

    component: Component
    x: float
    y: float
    width: float
    height: float
    cards: list[PlacedCard] = field(default_factory=list)

    @property
    def centre(self) -> float:
        return self.x + self.width / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height


@dataclass
class Label:
    """Centred lines of text: the name of a stream, or its inputs in a frame."""

    lines: list[str]
    centre: float
    y: float
    width: float
    height: float
    framed: bool


@dataclass
class Line:
    """A line from one part to another: an arrow for data flow, or a dashed line between shared components."""

    points: list[Point]
    dashed: bool = False


@dataclass
class Layout:
    """All drawn elements, and the size of the page."""

    width: float = 0.0
    height: float = 0.0
    title: list[str] = field(default_factory=list)
    subtitle: list[str] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


def measured(component: Component, across: float = WIDTH) -> Box:
    """The box of a component at the origin, with the height that its text needs."""
    box = Box(component, 0.0, 0.0, across, 0.0)
    y = HEAD
    for card in component.cards:
        room = across - 4 * PAD - (STACK if card.layers else 0)
        beside = width(card.count, FACT) + PAD if card.count else 0
        title = wrap([card.title], room - beside, NAME, bold=True)
        facts = wrap(card.facts, room, FACT, joint=" · ")
        height = 2 * 9 + len(title) * TITLE_LINE + len(facts) * LINE
        box.cards.append(PlacedCard(card, PAD, y, room + 2 * PAD, height, title, facts))
        y += height + CARD_GAP + (STACK if card.layers else 0)
    box.height = y + (NOTE - 4 if component.note else 4)
    return box


class Placing:
    """Places the parts row by row; ``y`` is the top of the next row."""

    def __init__(self, model: Contents) -> None:
        self.model, self.layout, self.y = model, Layout(), 0.0
        self.columns = [number * (WIDTH + COLUMN_GAP) for number in range(len(model.sides) + 1)]

    def run(self) -> Layout:
        model = self.model
        entries = [*model.sides, *([model.decoder_side] if model.decoder_side else [])]
        tops = self._inputs(entries)
        embeddings = self._row([side.embedding for side in entries], tops)
        encoders = [side.encoder for side in model.sides if side.encoder is not None]
        # With one stream, the decoder is beside its encoder; else it is below all encoders.
        beside = model.decoder if model.decoder_side and model.fusion is None and len(model.sides) == 1 else None
        boxes = self._row([*encoders, *([beside] if beside else [])], embeddings)
        states, decoder = boxes[: len(encoders)], boxes[-1] if beside else None
        self._same()
        ports: dict[str, Point] = {
            side.name: (box.centre, box.bottom) for side, box in zip(model.sides, states, strict=True)
        }
        if beside is not None and decoder is not None:
            self._across(states[0], decoder)
        elif model.fusion is not None or model.decoder is not None:
            decoder = self._joined(states, ports, embeddings[-1] if model.decoder_side else None)
        if decoder is not None:
            ports[""] = (decoder.centre, decoder.bottom)
        else:
            ports.setdefault("", next(iter(ports.values())))
        self._targets(ports)
        return self._finish()

    # -- rows --------------------------------------------------------------------------------------------------

    def _inputs(self, entries: list[Side]) -> list[Label]:
        if any(side.name for side in entries):
            for x, side in zip(self.columns, entries):
                lines = wrap([side.name or "decoder"], WIDTH, NAME, bold=True)
                self.layout.labels.append(Label(lines, x + WIDTH / 2, self.y, WIDTH, len(lines) * TITLE_LINE, False))
            self.y += max(label.height for label in self.layout.labels) + 6
        labels = []
        for x, side in zip(self.columns, entries):
            lines = wrap(side.inputs, WIDTH - 4 * PAD, FACT, joint=" · ") or ["nothing"]
            across = max(width(line, FACT) for line in lines) + 2 * PAD
            labels.append(Label(lines, x + WIDTH / 2, self.y, across, len(lines) * LINE + 10, True))
        self.layout.labels += labels
        self.y += max(label.height for label in labels) + ROW_GAP
        return labels

    def _row(self, components: list[Component], above: Sequence[Label | Box]) -> list[Box]:
        """Place one component per column, each with an arrow from the part above it."""
        boxes = [measured(component) for component in components]
        for x, box, source in zip(self.columns, boxes, above, strict=False):
            box.x, box.y = x, self.y
            if box.component.shared:
                owner = next(i for i, side in enumerate(self.model.sides) if side.name == box.component.shared)
                box.height = boxes[owner].height
            self._arrow((box.centre, source.y + source.height), (box.centre, box.y))
        self.layout.boxes += boxes
        self.y += max(box.height for box in boxes) + ROW_GAP
        return boxes

    def _joined(self, states: list[Box], ports: dict[str, Point], beside: Box | None) -> Box | None:
        """Place the encoder that joins the streams, and a decoder that is not beside the only encoder."""
        model, decoder = self.model, measured(self.model.decoder) if self.model.decoder else None
        fusion = None
        if model.fusion is not None:
            fusion = measured(model.fusion, states[-1].x + WIDTH)
            fusion.y = self.y
            for name, box in zip(list(ports), states, strict=True):
                self._arrow(ports[name], (box.centre, fusion.y))
                ports[name] = (box.centre, fusion.bottom)
            self.layout.boxes.append(fusion)
        if decoder is not None:
            self.layout.boxes.append(decoder)
            if beside is not None:
                decoder.x, decoder.y = beside.x, self.y
                self._arrow((beside.centre, beside.bottom), (beside.centre, decoder.y))
            if beside is None and fusion is not None:
                self.y = fusion.bottom + ROW_GAP
            decoder.y = self.y
            first = next(iter(ports.values()))
            if beside is None:
                self._arrow(first, (decoder.centre, decoder.y))
            elif fusion is not None:
                self._across(fusion, decoder)
            else:
                middle = decoder.y + decoder.height / 2
                self.layout.lines.append(Line([first, (first[0], middle), (decoder.x, middle)]))
        self.y = max(box.bottom for box in (fusion, decoder) if box is not None) + ROW_GAP
        return decoder

    def _targets(self, ports: dict[str, Point]) -> None:
        targets = [measured(target) for target in self.model.targets]
        reads = [tuple(target.component.reads) or ("",) for target in targets]
        wanted = [sum(ports[name][0] for name in names) / len(names) for names in reads]
        order = sorted(range(len(targets)), key=lambda number: wanted[number])
        for number, centre in zip(order, _apart([wanted[number] for number in order])):
            targets[number].x = centre - WIDTH / 2
        ways = list(dict.fromkeys(reads))
        self.y += BUS_GAP * max(0, len(ways) - 1)
        for box, names in zip(targets, reads, strict=True):
            box.y = self.y
            level = ways.index(names)
            bus = box.y - ROW_GAP / 2 - BUS_GAP * (len(ways) - 1 - level)
            for name in names:
                using = [way for way in ways if any(ports[each] == ports[name] for each in way)]
                start = ports[name][0] + 16 * (using.index(names) - (len(using) - 1) / 2), ports[name][1]
                self._arrow(start, (start[0], bus), (box.centre, bus), (box.centre, box.y))
        self.layout.boxes += targets
        self.y += max((box.height for box in targets), default=-ROW_GAP)

    # -- lines -------------------------------------------------------------------------------------------------

    def _arrow(self, *points: Point) -> None:
        if abs(points[0][0] - points[-1][0]) < 1:
            points = points[0], points[-1]
        self.layout.lines.append(Line(list(points)))

    def _across(self, left: Box, right: Box) -> None:
        y = left.y + min(left.height, right.height) / 2
        self.layout.lines.append(Line([(left.x + left.width, y), (right.x, y)]))

    def _same(self) -> None:
        """Connect neighbouring components that are shared with a dashed line."""
        boxes = {(box.component.kind, box.x): box for box in self.layout.boxes}
        for box in self.layout.boxes:
            owner = [number for number, side in enumerate(self.model.sides) if side.name == box.component.shared]
            if not (box.component.shared and owner):
                continue
            other = boxes[box.component.kind, self.columns[owner[0]]]
            if abs(other.x - box.x) <= WIDTH + COLUMN_GAP:
                left, right = sorted((box, other), key=lambda each: each.x)
                y = box.y + box.height / 2
                self.layout.lines.append(Line([(left.x + WIDTH, y), (right.x, y)], dashed=True))

    # -- page --------------------------------------------------------------------------------------------------

    def _finish(self) -> Layout:
        layout = self.layout
        left = min(box.x for box in layout.boxes)
        right = max(box.x + box.width for box in layout.boxes)
        across = max(right - left, 1.5 * WIDTH)
        layout.title = wrap([self.model.title], across, HEADLINE, bold=True)
        layout.subtitle = wrap(self.model.subtitle.split(" · "), across, SUBTITLE, joint=" · ")
        dx = MARGIN + (across - (right - left)) / 2 - left
        dy = MARGIN + len(layout.title) * 27 + len(layout.subtitle) * 18 + 22
        for box in layout.boxes:
            box.x, box.y = box.x + dx, box.y + dy
        for label in layout.labels:
            label.centre, label.y = label.centre + dx, label.y + dy
        for line in layout.lines:
            line.points = [(x + dx, y + dy) for x, y in line.points]
        layout.width, layout.height = across + 2 * MARGIN, self.y + dy + MARGIN
        return layout


def _apart(wanted: Iterable[float]) -> list[float]:
    """Centres of boxes in order, as close as possible to the wanted centres without overlap."""
    step = WIDTH + COLUMN_GAP / 2
    groups: list[tuple[float, int]] = []  # (centre, number of boxes) of each group of adjacent boxes
    for place in wanted:
        groups.append((place, 1))
        while len(groups) > 1:
            (one, n), (two, m) = groups[-2:]
            if two - one >= step * (n + m) / 2:
                break
            groups[-2:] = [((one * n + two * m) / (n + m), n + m)]
    return [middle + step * (k - (n - 1) / 2) for middle, n in groups for k in range(n)]
