"""Windows of a long text for sequence labelling: each word is labelled in one window, with context on both sides."""

from __future__ import annotations

from typing import NamedTuple


class Window(NamedTuple):
    """A part of a text.

    Attributes:
        start: first piece.
        end: last piece plus one.
        first: first piece whose label the window has.
        last: last such piece plus one.
    """

    start: int
    end: int
    first: int
    last: int


def windows(length: int, room: int, context: int) -> list[Window]:
    """The windows of a text of ``length`` pieces; each piece is labelled in exactly one of them.

    Args:
        room: maximum number of pieces in a window.
        context: number of pieces on each side that are only read, where the text goes on; less than half of the room.
    """
    if length <= room:
        return [Window(0, length, 0, length)]
    step = room - 2 * context
    found, labelled = [], 0
    while labelled < length:
        start = max(0, min(labelled - context, length - room))
        last = length if start + room >= length else start + context + step
        found.append(Window(start, start + room, labelled, last))
        labelled = last
    return found
