"""Detection of JPEG files with missing scans.

Pillow reports a file that ends early. It does not report a file with missing data and an end mark, such as a repaired
download: libjpeg silently fills the missing scans with grey or coarse pixels.
"""

from __future__ import annotations

import io
import re
from typing import NamedTuple

from PIL.JpegImagePlugin import JpegImageFile

#: A marker within coded data; 0xFF00 is a value there, and 0xFFD0 to 0xFFD7 are restart markers.
_MARK = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")

_END, _SCAN = 0xD9, 0xDA

#: Frame markers: baseline, extended and progressive, with Huffman or arithmetic coding.
_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
_PROGRESSIVE = frozenset({0xC2, 0xCA})

#: Bytes that a decoder skips after complete coded data, and decodes as pixels if data are missing.
_FILLER = b"\x5a\x33" * 128

#: Value of a channel without data; CMYK is inverted, which gives the second value.
_GREY = (127, 128)

#: Number of rows that are compared at a time.
_ROWS = 256


class Scans(NamedTuple):
    """Facts about the scans of a JPEG.

    Attributes:
        end: offset of the end mark in the file, in bytes.
        lacking: True if the scans do not contain all coefficients.
    """

    end: int
    lacking: bool


def read_scans(data: bytes) -> Scans | None:
    """Find the scans of a file.

    Returns:
        The scans, or None if the file does not have the usual structure; the decoder then decides.

    Raises:
        EOFError: there is no end mark after the coded data.
    """
    place, frame = 2, 0
    left: dict[int, set[int]] = {}  # component → coefficients that are still incomplete
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
            # Most files have one complete scan. Then only the end mark can follow, which is faster to find.
            whole = not any(left.values())
            found = None if whole else _MARK.search(data, place)
            place = data.find(b"\xff\xd9", place) if whole else -1 if found is None else found.start()
            if place < 0:
                raise EOFError
    return None


def is_cut(picture: JpegImageFile, data: bytes, scans: Scans) -> bool:
    """True if a part of the coded data of a decoded picture is missing.

    If data are missing, the last pixel is grey, and additional bytes before the end mark change pixels. Both are
    tested; the first test is fast and excludes most pictures.
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
