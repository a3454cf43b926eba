"""Small TIFF files of every layout, written as the specification of TIFF 6.0 and that of BigTIFF say."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray


def tiff(
    values: NDArray[Any],
    bits: int,
    photometric: int,
    *,
    planes: bool = False,
    order: str = "<",
    big: bool = False,
    extra: dict[int, int] | None = None,
) -> bytes:
    """A file, not compressed, of (height, width, samples) integers.

    Args:
        photometric: 0 where 0 is white, 1 where it is black, 2 for RGB, 5 for CMYK.
        planes: one sample after the other, and not pixel by pixel.
        order: of bytes, ``<`` or ``>``.
        extra: further tags of one short number.
    """
    height, width, samples = values.shape
    parts = [values[..., [number]] for number in range(samples)] if planes else [values]
    strips = [_packed(part.reshape(height, -1), bits, order) for part in parts]
    start = 16 if big else 8
    places = [start + sum(map(len, strips[:number])) for number in range(len(strips))]
    tags: dict[int, tuple[int, list[int]]] = {
        256: (3, [width]),
        257: (3, [height]),
        258: (3, [bits] * samples),
        259: (3, [1]),
        262: (3, [photometric]),
        273: (4, places),
        277: (3, [samples]),
        278: (3, [height]),
        279: (4, [len(strip) for strip in strips]),
        284: (3, [2 if planes else 1]),
        **{tag: (3, [value]) for tag, value in (extra or {}).items()},
    }
    directory = start + sum(map(len, strips))
    pointer, counter, room = ("Q", "Q", 8) if big else ("L", "H", 4)
    behind = directory + struct.calcsize(f"<{counter}{pointer}") + len(tags) * (4 + 2 * room)
    entries, outside = b"", b""
    for tag, (kind, numbers) in sorted(tags.items()):
        content = struct.pack(f"{order}{len(numbers)}{'H' if kind == 3 else 'L'}", *numbers)
        if len(content) > room:
            place, outside = behind + len(outside), outside + content
            content = struct.pack(order + pointer, place)
        entries += struct.pack(f"{order}HH{pointer}", tag, kind, len(numbers)) + content.ljust(room, b"\0")
    head = b"II" if order == "<" else b"MM"
    head += struct.pack(f"{order}HHHQ", 43, 8, 0, directory) if big else struct.pack(f"{order}HL", 42, directory)
    table = struct.pack(order + counter, len(tags)) + entries + struct.pack(order + pointer, 0)
    return head + b"".join(strips) + table + outside


def _packed(rows: NDArray[Any], bits: int, order: str) -> bytes:
    """Lines of samples; each begins with a byte of its own."""
    if bits == 16:
        return rows.astype(f"{order}u2").tobytes()
    each = (rows[..., None] >> np.arange(bits - 1, -1, -1)) & 1  # the highest bit comes first, in either order
    return np.packbits(each.astype(np.uint8).reshape(len(rows), -1), axis=1).tobytes()
