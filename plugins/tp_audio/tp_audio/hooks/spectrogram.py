"""Pictures of spectrograms with texts below them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tp_audio.audio.features import Frames
from tp_core.diagram.fonts import load_font

Font = Any
Colour = tuple[int, int, int]

_INK: Colour = (31, 41, 55)
_GREY: Colour = (107, 114, 128)
_WRONG: Colour = (208, 24, 60)
#: Colours from silence to the loudest.
_COLOURS = np.array([(8, 7, 30), (69, 20, 107), (158, 42, 99), (229, 92, 48), (251, 180, 62), (252, 255, 190)])
#: Range of loudness that is shown, in natural logarithms of power. Quieter bins look like silence.
_RANGE = 12.0
_WIDEST, _NARROWEST, _HEIGHT, _MARGIN, _LINE, _LABEL = 1100, 520, 160, 16, 22, 64


class Heard(NamedTuple):
    """A recording with its reference text and the text that a model recognised.

    Attributes:
        frames: log-mel frames, (frames, bins).
        wanted: the reference text.
        found: the recognised text.
    """

    frames: Frames
    wanted: str
    found: str


class Word(NamedTuple):
    """A word to draw, or a part of a word that is too long for a line."""

    text: str
    colour: Colour
    x: float
    line: int


def spectrograms(heard: list[Heard], seconds: float, title: str, font: str | None = None) -> Image.Image:
    """A picture of recordings, one below the other, on one time scale. Low frequencies are at the bottom.

    Missed words and wrongly recognised words are red.

    Args:
        heard: the recordings.
        seconds: distance of two frames, in seconds.
        title: the title of the picture.
        font: a font file; None: a system font.
    """
    longest = max(len(each.frames) for each in heard)
    scale = min(4.0, _WIDEST / longest)
    across = max(_NARROWEST, math.ceil(longest * scale))
    small, large = load_font(font, 12), load_font(font, 15)
    texts = [
        [list(_placed(words, across - _LABEL, large)) for words in _coloured(each.wanted.split(), each.found.split())]
        for each in heard
    ]
    heights = [_HEIGHT + 26 + _LINE * (_lines(one) + _lines(other)) + 20 for one, other in texts]
    whole = Image.new("RGB", (across + 2 * _MARGIN, 2 * _MARGIN + 28 + sum(heights)), "white")
    draw = ImageDraw.Draw(whole)
    draw.text((_MARGIN, _MARGIN), title, fill=_INK, font=large)
    y = _MARGIN + 28
    for each, lines, height in zip(heard, texts, heights, strict=True):
        size = max(1, round(len(each.frames) * scale)), _HEIGHT
        whole.paste(shaded(each.frames).resize(size, Image.Resampling.BILINEAR), (_MARGIN, y))
        _times(draw, _MARGIN, y + _HEIGHT, len(each.frames), scale, seconds, small)
        line = y + _HEIGHT + 26
        for label, words in zip(("said", "heard"), lines, strict=True):
            draw.text((_MARGIN, line + 3), label, fill=_GREY, font=small)
            for word in words:
                place = _MARGIN + _LABEL + word.x, line + _LINE * word.line
                draw.text(place, word.text, fill=word.colour, font=large)
            if not words:
                draw.text((_MARGIN + _LABEL, line + 3), "(nothing)", fill=_GREY, font=small)
            line += _LINE * _lines(words)
        y += height
    return whole


def shaded(frames: Frames) -> Image.Image:
    """An image with one pixel for each frame and bin."""
    values: NDArray[Any] = np.clip((frames - frames.max()) / _RANGE + 1, 0, 1)
    places = np.linspace(0, 1, len(_COLOURS))
    colours = np.stack([np.interp(values, places, _COLOURS[:, channel]) for channel in range(3)], axis=-1)
    return Image.fromarray(colours.round().astype(np.uint8).transpose(1, 0, 2)[::-1].copy())


def _coloured(wanted: list[str], found: list[str]) -> tuple[list[tuple[str, Colour]], list[tuple[str, Colour]]]:
    """The words of both texts with their colours. Words without a match in the other text are red."""
    one, other = ([(word, _WRONG) for word in words] for words in (wanted, found))
    for a, b, size in SequenceMatcher(None, wanted, found, autojunk=False).get_matching_blocks():
        one[a : a + size] = other[b : b + size] = [(word, _INK) for word in wanted[a : a + size]]
    return one, other


def _placed(words: list[tuple[str, Colour]], room: float, font: Font) -> Iterator[Word]:
    """Break words into lines of at most ``room`` pixels."""
    space, x, line = font.getlength(" "), 0.0, 0
    for word, colour in words:
        if x and x + font.getlength(word) > room:
            x, line = 0.0, line + 1
        while word:
            count = len(word)
            while count > 1 and x + font.getlength(word[:count]) > room:
                count -= 1
            yield Word(word[:count], colour, x, line)
            x += font.getlength(word[:count])
            word = word[count:]
            x, line = (0.0, line + 1) if word else (x + space, line)


def _lines(words: list[Word]) -> int:
    return 1 + max((word.line for word in words), default=0)


def _times(
    draw: ImageDraw.ImageDraw, x: float, y: float, frames: int, scale: float, seconds: float, font: Font
) -> None:
    """Draw the time axis, with marks at least 60 pixels apart."""
    second = scale / seconds
    step = next(each for each in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 600, 6000) if each * second >= 60)
    for number in range(int(frames * seconds / step) + 1):
        place = x + number * step * second
        draw.line((place, y, place, y + 4), fill=_GREY)
        label = f"{number * step:g} s" if number else "0"
        draw.text((place, y + 6), label, fill=_GREY, font=font, anchor="ma" if number else "la")
