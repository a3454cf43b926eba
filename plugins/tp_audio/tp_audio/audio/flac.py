"""The length of a FLAC stream (RFC 9639), by its last frame: after a pipe, the length in the header is 0 or wrong."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

#: Bytes of STREAMINFO, behind the mark ``fLaC`` and the header of its block.
_INFO = slice(8, 42)
_TOTAL = slice(21, 26)
_TOTAL_MASK = (1 << 36) - 1

#: Samples of a frame by their code; of 6 and 7, the number stands in the header.
_BLOCKS = (0, 192, 576, 1152, 2304, 4608, 0, 0, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)

#: Bytes that libsndfile leaves behind the last frame where it cannot go back to the header: the checksum of samples,
#: their number, and the sizes of frames.
_LATE = 16 + 5 + 6

#: So many checksums of a frame are computed to find the last.
_TRIES = 4

#: Bytes of a frame of 8 channels of 65,535 samples of 32 bits, the largest that there is.
_LARGEST = 1 << 21


class _Frame(NamedTuple):
    position: int
    end: int  # in samples


def sized_flac(data: bytes) -> bytes:
    """A stream whose header has the length that its frames have.

    Raises:
        ValueError: it is cut off, or has no frames; the message goes on from a name.
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
    """The place behind the blocks of metadata; None if it is not in the data."""
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
    """The end of the last frame, in samples.

    Bytes that look like a frame's header may be a part of another frame. A frame is the last if it ends at the sample
    that the header of the stream gives, or if its checksum is that of all bytes to the end.

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
    """The frame whose header is at a place; None if there is none, by its checksum."""
    header = data[position : position + 17]
    if len(header) < 6 or header[3] & 1:
        return None
    block, rate = header[2] >> 4, header[2] & 15
    if block == 0 or rate == 15:
        return None
    # A number as UTF-8 writes those of characters, of up to 36 bits.
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
    if header[1] & 1:  # counts samples, and not frames, as blocks differ
        return _Frame(position, number + size)
    return _Frame(position, number * int.from_bytes(data[8:10], "big") + size)


def _header_checksum(data: bytes) -> int:
    """The CRC-8 of a header, of the polynomial 0x07."""
    found = 0
    for byte in data:
        found ^= byte
        for _ in range(8):
            found = (found << 1 ^ (0x07 if found & 128 else 0)) & 0xFF
    return found


def _checksum(data: bytes) -> int:
    """The CRC-16 of a frame, of the polynomial 0x8005; 0 where its own stands at the end."""
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
