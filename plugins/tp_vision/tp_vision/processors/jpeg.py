"""Scans of a JPEG that are missing: libjpeg makes grey or coarse pixels of them, without a word, where an end mark is.

Pillow tells of a file that just ends, and not of one whose rest was cut off or overwritten and that has a mark for its
end, as repaired downloads do.
"""

from __future__ import annotations

import io
import re
from typing import NamedTuple

from PIL.JpegImagePlugin import JpegImageFile

#: A mark inside of coded data, where 0xFF00 is a value and 0xFFD0 to 0xFFD7 are resynchronisations.
_MARK = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")

_END, _SCAN = 0xD9, 0xDA

#: Frames of coefficients: baseline, extended and progressive, by Huffman or arithmetic codes.
_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
_PROGRESSIVE = frozenset({0xC2, 0xCA})

#: What a decoder skips behind coded data that are whole, and takes for more of them if they are not.
_FILLER = b"\x5a\x33" * 128

#: The value of channels of which nothing is there; of CMYK, it is turned round.
_GREY = (127, 128)

#: Rows that are compared at a time.
_ROWS = 256


class Scans(NamedTuple):
    """The scans of a file: the place of the end mark, and the coefficients that they lack, if any."""

    end: int
    lacking: bool


def read_scans(data: bytes) -> Scans | None:
    """Find the scans of a file.

    Returns:
        None: the file is not of the usual form, which is for the decoder to judge.

    Raises:
        EOFError: there is no end mark behind the coded data.
    """
    place, frame = 2, 0
    left: dict[int, set[int]] = {}  # component → coefficients that are not sent to their last bit
    while place + 2 <= len(data):
        if data[place] != 0xFF:
            return None
        if (mark := data[place + 1]) == 0xFF:
            place += 1
            continue
        if mark == _END:
            return Scans(place, any(left.values())) if frame else None
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        body = data[place + 4 : place + 2 + length]
        place += 2 + length
        if mark in _FRAMES and len(body) >= 6:
            frame = mark
            left = {body[at]: set(range(64)) for at in range(6, min(len(body), 6 + 3 * body[5]), 3)}
        elif mark == _SCAN:
            count = body[0] if body else 0
            if not frame or len(body) < 4 + 2 * count:
                return None
            first, last, bits = body[1 + 2 * count : 4 + 2 * count] if frame in _PROGRESSIVE else (0, 63, 0)
            for at in range(1, 1 + 2 * count, 2):
                if not bits & 15:
                    left.get(body[at], set()).difference_update(range(first, last + 1))
            # Most files have one scan, with all: then the mark is the end's, which is found faster than any.
            whole = not any(left.values())
            found = None if whole else _MARK.search(data, place)
            place = data.find(b"\xff\xd9", place) if whole else -1 if found is None else found.start()
            if place < 0:
                raise EOFError
    return None


def is_cut(picture: JpegImageFile, data: bytes, scans: Scans) -> bool:
    """True if a part of the coded data of a decoded picture is missing.

    Where it is, the last pixel is grey, which few are, and more data in its place would change pixels.
    """
    width, height = picture.size
    last = picture.getpixel((width - 1, height - 1))
    if any(value not in _GREY for value in (last if isinstance(last, tuple) else (last,))):
        return False
    other = JpegImageFile(io.BytesIO(data[: scans.end] + _FILLER + data[scans.end :]))
    if picture.mode == "L":
        other.draft("L", None)
    other.load()
    strips = ((0, top, width, min(top + _ROWS, height)) for top in range(0, height, _ROWS))
    return any(picture.crop(strip).tobytes() != other.crop(strip).tobytes() for strip in strips)
