"""Pages of Ogg streams (RFC 3533).

libsndfile silently skips damaged and missing pages, and all links after the first.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

_HEADER = 27
_CHECKSUM = slice(22, 26)
_SERIAL = slice(14, 18)
_FIRST, _LAST = 2, 4  # flags of the first and the last page of a stream

#: Bytes with reversed bits. Ogg's checksum has zlib's polynomial, but reads the bits of each byte in reverse order.
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))

#: First bytes of the packet that announces FLAC in Ogg. A version, the number of headers and a native stream follow.
_FLAC = b"\x7fFLAC"
_FLAC_HEADER = 9


class _Page(NamedTuple):
    start: int
    body: int
    end: int
    flags: int
    serial: bytes


def ogg_links(data: bytes) -> list[bytes]:
    """The chained streams of a file (RFC 3533, section 4). For a single stream, this is the whole file.

    Raises:
        ValueError: a page is damaged or missing. The message lacks its subject: the caller puts a name before it.
    """
    starts: list[int] = []
    open_serials: set[bytes] = set()
    in_header, end = False, 0
    for page in _pages(data):
        if page.flags & _FIRST:
            if not open_serials:
                starts.append(page.start)
            elif not in_header:
                raise ValueError(f"is truncated: another stream begins at byte {page.start:,}, before the last page")
            open_serials.add(page.serial)
        in_header = bool(page.flags & _FIRST)
        if page.flags & _LAST:
            open_serials.discard(page.serial)
        end = page.end
    if open_serials or not starts:
        raise ValueError("is truncated: its last Ogg page is missing")
    if len(starts) == 1:
        return [data]
    return [data[start:stop] for start, stop in zip(starts, [*starts[1:], end], strict=True)]


def _pages(data: bytes) -> Iterator[_Page]:
    position, last = 0, False
    while position < len(data):
        if data[position : position + 4] != b"OggS":
            if last:  # tags may follow the last page
                return
            raise ValueError(f"is damaged: no Ogg page begins at byte {position:,}")
        header = data[position : position + _HEADER]
        segments = data[position + _HEADER : position + _HEADER + header[26]] if len(header) == _HEADER else b""
        body = position + _HEADER + len(segments)
        end = body + sum(segments)
        if len(header) < _HEADER or len(segments) < header[26] or end > len(data):
            raise ValueError("is truncated: its last Ogg page is cut")
        if checksum(data[position:end]) != int.from_bytes(header[_CHECKSUM], "little"):
            raise ValueError(f"is damaged: the checksum of the Ogg page at byte {position:,} is wrong")
        yield _Page(position, body, end, header[5], header[_SERIAL])
        position, last = end, bool(header[5] & _LAST)


def checksum(page: bytes) -> int:
    """The checksum of a page. Its own bytes count as zeros."""
    blank = page[: _CHECKSUM.start] + bytes(4) + page[_CHECKSUM.stop :]
    # Unlike zlib's, Ogg's checksum starts with zeros and is not inverted at the end.
    found = zlib.crc32(blank.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{found:032b}"[::-1], 2)


def flac_inside(link: bytes) -> bytes | None:
    """The native FLAC stream inside a link; None for other codecs. libsndfile cannot read FLAC in Ogg."""
    start = _HEADER + link[26]
    if link[start : start + len(_FLAC)] != _FLAC:
        return None
    # The packets are FLAC's metadata blocks and frames. They only need to be joined.
    serial = link[_SERIAL]
    parts = [link[page.body : page.end] for page in _pages(link) if page.serial == serial]
    return b"".join(parts)[_FLAC_HEADER:]
