"""Templates of prompts: a text with fields of a record and the place of a word. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from string import Formatter
from typing import NamedTuple

#: The name in braces that stands for the word.
MASK = "mask"

#: Encodes several texts.
Encode = Callable[[list[str]], list[list[int]]]


class Piece(NamedTuple):
    """A part of a template: literal text, or the name of a field, or :data:`MASK`."""

    text: str = ""
    name: str = ""


class Filled(NamedTuple):
    """A template with its fields and its word.

    Attributes:
        text: the whole text.
        fields: (start, end) of each field in the characters of the text.
        word: (start, end) of the word.
    """

    text: str
    fields: tuple[tuple[int, int], ...]
    word: tuple[int, int]


class Template:
    """A text with names of fields in braces, and ``{mask}`` once. ``{{`` and ``}}`` are literal braces.

    Raises:
        ValueError: the text is no such template; the message says why.
    """

    def __init__(self, text: str) -> None:
        pieces: list[Piece] = []
        try:
            parts = list(Formatter().parse(text))
        except ValueError:
            raise ValueError("has a brace without its other one; literal braces are written twice: {{ and }}") from None
        for literal, name, form, conversion in parts:
            if literal and pieces and not pieces[-1].name:  # an escaped brace divides literal text
                pieces[-1] = Piece(text=pieces[-1].text + literal)
            elif literal:
                pieces.append(Piece(text=literal))
            if name is None:
                continue
            if not name.strip() or form or conversion:
                shown = f"{{{name}{f'!{conversion}' if conversion else ''}{f':{form}' if form else ''}}}"
                raise ValueError(f"'{shown}' is no name of a field; literal braces are written twice: {{{{ and }}}}")
            pieces.append(Piece(name=name.strip()))
        self.pieces = tuple(pieces)
        masks = sum(piece.name == MASK for piece in pieces)
        if masks != 1:
            found = "has no {mask}" if not masks else f"has {{mask}} {masks} times"
            raise ValueError(f"{found}; it stands once, in the place of the word")
        #: The names of the fields, each once, in order.
        self.fields = list(dict.fromkeys(piece.name for piece in pieces if piece.name not in ("", MASK)))

    @property
    def place(self) -> int:
        """Number of pieces before the word."""
        return next(number for number, piece in enumerate(self.pieces) if piece.name == MASK)

    @property
    def begins(self) -> bool:
        """True if literal text precedes the word, whatever the fields are."""
        return any(piece.text.strip() for piece in self.pieces[: self.place])

    @property
    def lead(self) -> str:
        """The literal text just before the word; the letter ``a`` stands for a field before it."""
        place = self.place
        before = self.pieces[place - 1] if place else Piece()
        return f"a{before.text}" if place > 1 or before.name else before.text

    def filled(self, values: Mapping[str, str], word: str, strip: bool = False) -> Filled:
        """The template with the fields of a record and a word.

        Args:
            values: the text of each field.
            strip: remove the white space before the word, as for a mask token, which stands for a word and the space
                before it.
        """
        text, fields, place = "", [], (0, 0)
        for piece in self.pieces:
            if piece.name == MASK:
                text = text.rstrip() if strip else text
                place = (len(text), len(text) + len(word))
                text += word
            elif piece.name:
                fields.append((len(text), len(text) + len(values[piece.name])))
                text += values[piece.name]
            else:
                text += piece.text
        return Filled(text, tuple((min(start, len(text)), min(end, len(text))) for start, end in fields), place)


def shared(one: Sequence[int], other: Sequence[int]) -> int:
    """Number of ids with which both sequences begin."""
    for place, (a, b) in enumerate(zip(one, other)):
        if a != b:
            return place
    return min(len(one), len(other))


def token_spans(given: Sequence[tuple[Filled, list[int]]], encode: Encode) -> list[list[tuple[int, int]]]:
    """(start, end) of each field in the ids of its text, for filled templates with their ids.

    A token across the end of a field does not belong to the field.
    """
    needed = {filled.text[:end] for filled, _ in given for span in filled.fields for end in span}
    texts = sorted(needed)
    ids = dict(zip(texts, encode(texts)))

    def place(filled: Filled, whole: list[int], end: int) -> int:
        return shared(ids[filled.text[:end]], whole)

    found = []
    for filled, whole in given:
        spans = [(place(filled, whole, start), place(filled, whole, end)) for start, end in filled.fields]
        found.append([(start, max(start, end)) for start, end in spans])
    return found


def alike(spans: Sequence[list[tuple[int, int]]], filled: Filled) -> list[list[tuple[int, int]]]:
    """The spans of fields in texts that differ in the word only, with equal spans before the word.

    A tokenizer may join the end of a field before the word with some words, and with others not.

    Args:
        spans: for each text, those of :func:`token_spans`.
        filled: one of the texts.
    """
    least = [(min(start for start, _ in each), min(end for _, end in each)) for each in zip(*spans)]
    before = [end <= filled.word[0] for _, end in filled.fields]
    return [[low if first else own for own, low, first in zip(each, least, before)] for each in spans]


def cuts(lengths: Sequence[int], over: int) -> list[int]:
    """The number of tokens to remove from each of several texts, so that ``over`` are gone: always from the longest.

    Raises:
        ValueError: the texts do not have as many tokens.
    """
    if sum(lengths) < over:
        raise ValueError(f"{sum(lengths)} tokens are less than {over}")
    left = list(lengths)
    while over:
        longest = max(left)
        longer = [number for number, length in enumerate(left) if length == longest]
        next_length = max((length for length in left if length < longest), default=0)
        each, rest = divmod(min(over, (longest - next_length) * len(longer)), len(longer))
        for order, number in enumerate(reversed(longer)):
            removed = each + (order < rest)
            left[number] -= removed
            over -= removed
    return [length - kept for length, kept in zip(lengths, left)]


def without_ends(
    ids: list[int], spans: Sequence[tuple[int, int]], removed: Sequence[int]
) -> tuple[list[int], list[int]]:
    """The ids without the last tokens of some spans, and the place of each kept id among the given ones."""
    gone = {place for (_, end), count in zip(spans, removed) for place in range(end - count, end)}
    kept = [place for place in range(len(ids)) if place not in gone]
    return [ids[place] for place in kept], kept
