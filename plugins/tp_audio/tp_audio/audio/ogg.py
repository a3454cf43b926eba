"""Whether an Ogg stream is whole (RFC 3533): libsndfile leaves out damaged and missing pages without a word."""

from __future__ import annotations

import zlib

_HEADER = 27
_CHECKSUM = slice(22, 26)
_LAST = 4  # flag of a stream's last page

#: Ogg's checksum has zlib's polynomial, with the bits of each byte the other way round.
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def ogg_problem(data: bytes) -> str | None:
    """What is wrong with the pages of an Ogg stream, to go on from its name; None if they are whole."""
    position, last = 0, False
    while position < len(data):
        if data[position : position + 4] != b"OggS":
            # Behind the last page, there may be tags.
            return None if last else f"is damaged: no Ogg page begins at byte {position:,}"
        header = data[position : position + _HEADER]
        segments = data[position + _HEADER : position + _HEADER + header[26]] if len(header) == _HEADER else b""
        end = position + _HEADER + len(segments) + sum(segments)
        if len(header) < _HEADER or len(segments) < header[26] or end > len(data):
            return "is truncated: its last Ogg page is cut"
        if checksum(data[position:end]) != int.from_bytes(header[_CHECKSUM], "little"):
            return f"is damaged: the checksum of the Ogg page at byte {position:,} is wrong"
        position, last = end, bool(header[5] & _LAST)
    return None if last else "is truncated: its last Ogg page is missing"


def checksum(page: bytes) -> int:
    """The checksum of a page, its own place taken as zeros."""
    blank = page[: _CHECKSUM.start] + bytes(4) + page[_CHECKSUM.stop :]
    # Begun with zeros and not inverted at the end, as zlib's is.
    found = zlib.crc32(blank.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{found:032b}"[::-1], 2)
