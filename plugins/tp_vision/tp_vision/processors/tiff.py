"""TIFF tags that affect the pixels and that Pillow ignores."""

from __future__ import annotations

import struct
from typing import NamedTuple

from PIL.TiffImagePlugin import TiffImageFile

#: The supported pixel types, for messages.
EXPECTED = "unsigned integers of 8 or 16 bits are expected"

_BITS, _COMPRESSION, _PHOTOMETRIC, _PLANES, _FORMAT = 258, 259, 262, 284, 339
_USUAL: dict[int, tuple[int, ...]] = {_BITS: (1,), _COMPRESSION: (1,), _PHOTOMETRIC: (1,), _PLANES: (1,), _FORMAT: (1,)}

#: Unsupported values of the sample format tag; 1 is unsigned integers, and 4 is undefined.
_FORMATS = {2: "signed integers", 3: "floating-point numbers", 5: "complex integers", 6: "complex numbers"}

#: Types of tag values → format characters of ``struct``.
_VALUES = {1: "B", 3: "H", 4: "L", 16: "Q"}


class Tiff(NamedTuple):
    """The first picture of a TIFF, in a form that Pillow can read.

    Attributes:
        data: the file, changed if Pillow could not read it otherwise.
        order: byte order as in ``struct``: ``<`` or ``>``.
        planes: True if the channels are stored as separate uncompressed planes of 16 bits.
        whitest: largest value of a pixel.
        inverted: True if pixels have more than 8 bits, and 0 is white.
    """

    data: bytes
    order: str
    planes: bool
    whitest: int
    inverted: bool


def read_tiff(data: bytes) -> Tiff:
    """Read the tags of a TIFF file.

    Raises:
        ValueError: the type of its pixels is not supported.
        struct.error, OverflowError: the file ends before the tags.
    """
    order, tags, places = _tags(data)
    bits = max(tags[_BITS])
    kind = next((_FORMATS[number] for number in tags[_FORMAT] if number in _FORMATS), None)
    if kind is not None or bits not in (1, 2, 4, 8, 12, 16):
        raise ValueError(f"its pixels are {kind or 'integers'} of {bits} bits; {EXPECTED}")
    if bits == 12 and order == ">":
        raise ValueError("its pixels are integers of 12 bits in big-endian order, which is not supported")
    inverted = bits > 8 and tags[_PHOTOMETRIC][0] == 0
    if inverted:  # Pillow supports this with one byte order only, and does not invert
        changed = bytearray(data)
        struct.pack_into(f"{order}H", changed, places[_PHOTOMETRIC], 1)
        data = bytes(changed)
    planes = tags[_PLANES][0] == 2 and bits == 16 and tags[_COMPRESSION][0] == 1
    return Tiff(data, order, planes, 2**bits - 1, inverted)


def _tags(data: bytes) -> tuple[str, dict[int, tuple[int, ...]], dict[int, int]]:
    """Byte order, values of the tags in ``_USUAL`` in the first directory, and the offsets of these values."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    if big and order == ">":
        raise ValueError("it is a BigTIFF whose bytes are in big-endian order, which is not supported")
    pointer, counter = ("Q", "Q") if big else ("L", "H")
    width = struct.calcsize(f"<{pointer}")

    def read(form: str, place: int) -> tuple[int, ...]:
        return struct.unpack_from(order + form, data, place)

    (first,) = read(pointer, width if big else 4)
    (count,) = read(counter, first)
    values, places = dict(_USUAL), dict[int, int]()
    for number in range(min(count, 1 << 16)):
        entry = first + struct.calcsize(f"<{counter}") + number * (4 + 2 * width)
        tag, kind = read("HH", entry)
        if tag in _USUAL and kind in _VALUES:
            (length,) = read(pointer, entry + 4)
            form = f"{min(max(length, 1), 16)}{_VALUES[kind]}"
            place = entry + 4 + width
            if length * struct.calcsize(f"<{_VALUES[kind]}") > width:
                (place,) = read(pointer, place)
            values[tag], places[tag] = read(form, place), place
    return order, values, places


def with_planes(picture: TiffImageFile, order: str) -> None:
    """Make Pillow read uncompressed planes as 16 bits; by default it reads them as 8 bits."""
    if picture.mode == "CMYK":
        raise ValueError("its colours are CMYK of 16 bits in planes, which is not supported")
    ending = ";16L" if order == "<" else ";16B"
    for number, (codec, extents, place, arguments) in enumerate(picture.tile):
        assert isinstance(arguments, tuple)
        colour, *rest = arguments
        picture.tile[number] = type(picture.tile[number])(codec, extents, place, (colour + ending, *rest))
