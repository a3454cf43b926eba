"""The length of a FLAC stream (RFC 9639), found from its last frame.

If the stream was written to a pipe, the length in its header is 0 or wrong.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

#: The bytes of STREAMINFO, after the marker ``fLaC`` and the header of the block.
_INFO = slice(8, 42)
_TOTAL = slice(21, 26)
_TOTAL_MASK = (1 << 36) - 1

#: Samples of a frame by code. For codes 6 and 7, the header has the number.
_BLOCKS = (0, 192, 576, 1152, 2304, 4608, 0, 0, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)

#: Number of bytes that libsndfile writes after the last frame if it cannot seek back to the header: the checksum of the
#: samples, the number of samples and the frame sizes.
_LATE = 16 + 5 + 6

#: Maximum number of candidate frames whose checksum is computed to find the last frame.
_TRIES = 4

#: Maximum size of a frame in bytes: 8 channels of 65,535 samples of 32 bits.
_LARGEST = 1 << 21


class _Frame(NamedTuple):
    position: int
    end: int  # in samples


def sized_flac(data: bytes) -> bytes:
    """The stream with the real length in its header.

    Raises:
        ValueError: it is truncated or has no frames. The message lacks its subject: the caller puts a name before it.
    """
    begin = _first_frame(data)
    if begin is None or data[begin : begin + 1] != b"\xff":
        raise ValueError("has no samples" if begin == len(data) else "is damaged: no FLAC frame follows its header")
    said = int.from_bytes(data[_TOTAL], "big") & _TOTAL_MASK
    found = _samples(data, begin, said)
    if found < said:
        raise ValueError(f"is truncated: it has {found:,} samples, its header says {said:,}")
    if found == said:
        return data
    total = int.from_bytes(data[_TOTAL], "big") & ~_TOTAL_MASK | found
    return data[: _TOTAL.start] + total.to_bytes(5, "big") + data[_TOTAL.stop :]


def _first_frame(data: bytes) -> int | None:
    """The position after the metadata blocks; None if the data ends before it."""
    position, last = 4, False
    if len(data) < _INFO.stop or data[4] & 127:
        return None
    while not last:
        if position + 4 > len(data):
            return None
        last = bool(data[position] & 128)
        position += 4 + int.from_bytes(data[position + 1 : position + 4], "big")
    return position if position <= len(data) else None


def _samples(data: bytes, begin: int, said: int) -> int:
    """The number of samples up to the end of the last frame.

    Bytes that look like a frame header may be inside another frame. A frame is the last one if it ends at the sample
    that the stream's header gives, or if its checksum fits all bytes to the end of the data.

    Raises:
        ValueError: there is no such frame.
    """
    end = len(data)
    if data[-128:-125] == b"TAG":
        end -= 128
    mark, tries, farthest = data[begin : begin + 2], 0, 0
    position = data.rfind(mark, begin, end)
    while position >= 0 and end - position <= _LARGEST and tries < _TRIES:
        frame = _frame(data, position)
        if frame is not None:
            if said and frame.end == said:
                return said
            farthest = max(farthest, frame.end)
            tries += 1
            ends = (end, end - _LATE) if said == 0 and end - _LATE > position else (end,)
            if any(_checksum(data[position:each]) == 0 for each in ends):
                return frame.end
        position = data.rfind(mark, begin, position)
    if said > farthest > 0:
        raise ValueError(f"is truncated: it has less than {farthest:,} samples, its header says {said:,}")
    raise ValueError("is truncated: its last FLAC frame is cut")


def _frame(data: bytes, position: int) -> _Frame | None:
    """The frame whose header is at ``position``; None if the header is invalid or its checksum is wrong."""
    header = data[position : position + 17]
    if len(header) < 6 or header[3] & 1:
        return None
    block, rate = header[2] >> 4, header[2] & 15
    if block == 0 or rate == 15:
        return None
    # A number of up to 36 bits in the encoding of UTF-8.
    more = 0
    while more < 7 and header[4] << more & 128:
        more += 1
    if more == 1 or more > 7:
        return None
    length = max(1, more)
    number = header[4] & (127 if more == 0 else (1 << max(0, 7 - more)) - 1)
    for byte in header[5 : 4 + length]:
        if byte >> 6 != 2:
            return None
        number = number << 6 | byte & 63
    place = 4 + length
    size = _BLOCKS[block]
    if block in (6, 7):
        size = int.from_bytes(header[place : place + block - 5], "big") + 1
        place += block - 5
    place += {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if place >= len(header) or _header_checksum(header[:place]) != header[place]:
        return None
    if header[1] & 1:  # variable block size: the number counts samples, not frames
        return _Frame(position, number + size)
    return _Frame(position, number * int.from_bytes(data[8:10], "big") + size)


def _header_checksum(data: bytes) -> int:
    """CRC-8 of a header, with polynomial 0x07."""
    found = 0
    for byte in data:
        found ^= byte
        for _ in range(8):
            found = (found << 1 ^ (0x07 if found & 128 else 0)) & 0xFF
    return found


def _checksum(data: bytes) -> int:
    """CRC-16 of a frame, with polynomial 0x8005; 0 if the data ends with its own CRC."""
    table, found = _table(), 0
    for byte in data:
        found = (found << 8 & 0xFFFF) ^ table[found >> 8 ^ byte]
    return found


@lru_cache
def _table() -> tuple[int, ...]:
    values = []
    for byte in range(256):
        value = byte << 8
        for _ in range(8):
            value = (value << 1 ^ (0x8005 if value & 0x8000 else 0)) & 0xFFFF
        values.append(value)
    return tuple(values)
