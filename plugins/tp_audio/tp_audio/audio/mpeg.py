"""Counts the frames of MPEG audio (ISO 11172-3 and 13818-3; MP3 is its layer III) one by one.

An MPEG stream does not store its length. Some encoders write a first frame without sound that has the number of frames
(Xing, Info, VBRI). Without it, decoders estimate the number from the size of the first frame.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import NamedTuple

#: Bit rates in kbit/s, by version (1, or 2 for both 2 and 2.5) and layer.
_BIT_RATES = {
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_SAMPLES = {(1, 1): 384, (1, 2): 1152, (1, 3): 1152, (2, 1): 384, (2, 2): 1152, (2, 3): 576}

#: The channel mode of mono streams, in the upper two bits of a header's fourth byte.
_MONO = 3

#: Delay of a layer III decoder, in samples. Encoders assume it in LAME's tag.
_DECODER_DELAY = 529

#: Number of frames in a row that prove a stream. A single one may occur by chance in silence and in tags.
_RUN = 3

#: Maximum number of bytes before a stream, such as zeros in place of a removed picture.
_FARTHEST_START = 1 << 16

#: Maximum number of bytes inside a stream that are neither a frame nor a tag.
_FARTHEST_LATER = 1 << 20


class Frames(NamedTuple):
    """The frames of a stream.

    Attributes:
        data: the frames, without tags.
        frames: number of frames.
        largest: size of the largest frame, in bytes.
        samples: number of decoded samples per channel.
        skip: number of samples at the start that are the encoder's delay.
        keep: number of samples after these that are the recording.
    """

    data: bytes
    frames: int
    largest: int
    samples: int
    skip: int
    keep: int


class _Kind(NamedTuple):
    """The header of a frame: its size in bytes (0: free format), and values that all frames of a stream share."""

    size: int
    rate: int
    layer: int
    samples: int
    version: int
    padding: int


def frames_of(data: bytes) -> Frames | None:
    """The frames of a stream; None if the bytes have another format.

    Raises:
        ValueError: the stream is truncated, damaged, or changes its format. The message lacks its subject: the caller
            puts a name before it.
    """
    start = _start(data)
    if start is None:
        return None
    first = _kind(data[start + 1 : start + 3])
    assert first is not None
    mono = data[start + 3] >> 6 == _MONO
    free = _free_size(data, start, first) if not first.size else 0
    spans: list[tuple[int, int]] = []
    count, largest, position, begin = 0, 0, start, start
    while position < len(data):
        kind = _kind_at(data, position, first)
        if kind is None:
            spans.append((begin, position))
            begin = position = _next_frame(data, position)
            continue
        size = kind.size or (free + kind.padding)
        if position + size > len(data):
            raise ValueError("is truncated: its last MP3 frame is cut")
        if (kind.rate, kind.layer) != (first.rate, first.layer) or (data[position + 3] >> 6 == _MONO) != mono:
            raise ValueError(f"changes its sampling rate, layer or channels at byte {position:,}")
        position += size
        count += 1
        largest = max(largest, size)
    spans.append((begin, position))
    info = _info(data, start, first, mono)
    if info is not None:
        begin, end = spans[0]
        spans[0] = (begin + (first.size or free), end)
        count -= 1
        # Some encoders include this frame in the number.
        if info.frames is not None and info.frames > count + 1:
            raise ValueError(f"is truncated: it has {count:,} MP3 frames, its header says {info.frames:,}")
    if not count:
        raise ValueError("has no samples")
    samples = count * first.samples
    skip = min(samples, info.delay + _DECODER_DELAY) if info is not None and info.delay else 0
    keep = samples - skip
    if info is not None and skip and info.frames == count:
        keep = max(0, keep - max(0, info.padding - _DECODER_DELAY))
    return Frames(b"".join(data[a:b] for a, b in spans), count, largest, samples, skip, keep)


def _start(data: bytes) -> int | None:
    """The position of the first run of frames, in bytes; None if none begins in the first ``_FARTHEST_START`` bytes."""
    position = data.find(b"\xff", 0, _FARTHEST_START)
    while position >= 0:
        if _is_run(data, position):
            return position
        position = data.find(b"\xff", position + 1, _FARTHEST_START)
    return None


def _is_run(data: bytes, position: int) -> bool:
    """True if ``_RUN`` frames in a row, or frames up to the end of the data, begin at ``position``."""
    alone = position == 0
    first = _kind(data[position + 1 : position + 3])
    if first is None:
        return False
    free = _free_size(data, position, first) if not first.size else 0
    if not first.size and not free:
        return False
    for number in range(_RUN):
        kind = _kind_at(data, position, first)
        if kind is None or (kind.rate, kind.layer) != (first.rate, first.layer):
            return number > 0 and _is_tag(data, position)
        position += kind.size or (free + kind.padding)
        if position >= len(data):
            # Other data may look like the header of a truncated frame. It is one only after frames or at the start.
            return position == len(data) or number > 0 or alone
    return True


def _kind_at(data: bytes, position: int, first: _Kind) -> _Kind | None:
    """The header of the frame at ``position``; None if there is none.

    Frames of free format do not mix with others in a stream.
    """
    if data[position] != 0xFF:
        return None
    kind = _kind(data[position + 1 : position + 3])
    return kind if kind is not None and bool(kind.size) == bool(first.size) else None


def _is_tag(data: bytes, position: int) -> bool:
    return position >= len(data) or data.startswith((b"TAG", b"APETAGEX", b"ID3", b"LYRICSBEGIN"), position)


def _next_frame(data: bytes, position: int) -> int:
    """The position of the next frame after bytes that are no frame; the end of the data if no frame follows.

    Raises:
        ValueError: the bytes are neither tags nor zeros, and frames follow.
    """
    there = position
    while True:
        if data.startswith(b"TAG", there):
            there += 128
        elif data.startswith(b"ID3", there):
            there = behind_id3(data, there)
        elif data.startswith(b"APETAGEX", there) and there + 32 <= len(data):
            # The size counts the items and the footer. A footer without a header comes after its items.
            size, _, flags = struct.unpack_from("<III", data, there + 12)
            there += 32 + (size if flags & 1 << 29 else 0)
        else:
            break
    if there >= len(data) or _is_run(data, there):
        return min(there, len(data))
    farthest = there + _FARTHEST_LATER
    later = data.find(b"\xff", there, farthest)
    while later >= 0:
        if _is_run(data, later):
            if data[there:later].strip(b"\0"):
                raise ValueError(f"is damaged: no MP3 frame begins at byte {there:,}")
            return later
        later = data.find(b"\xff", later + 1, farthest)
    return len(data)


def behind_id3(data: bytes, position: int = 0) -> int:
    """The position after an ID3v2 tag. The tag's size is stored in four bytes of seven bits."""
    if len(data) < position + 10:
        return len(data)
    size = 0
    for byte in data[position + 6 : position + 10]:
        size = size << 7 | byte & 127
    return position + 10 + size + (10 if data[position + 5] & 16 else 0)


@cache
def _kind(header: bytes) -> _Kind | None:
    """The header that the second and third byte of a frame encode; None if they are not valid."""
    if len(header) < 2:
        return None
    sync, version, layer = header[0] >> 5, header[0] >> 3 & 3, 4 - (header[0] >> 1 & 3)
    bits, rate, padding = header[1] >> 4, header[1] >> 2 & 3, header[1] >> 1 & 1
    if sync != 7 or version == 1 or layer == 4 or bits == 15 or rate == 3:
        return None
    key = (1 if version == 3 else 2, layer)
    hertz, samples = _RATES[version][rate], _SAMPLES[key]
    speed = 1000 * _BIT_RATES[key][bits]
    if layer == 1:
        padding *= 4
        size = 12 * speed // hertz * 4 + padding
    else:
        size = samples // 8 * speed // hertz + padding
    return _Kind(size if speed else 0, hertz, layer, samples, version, padding)


def _free_size(data: bytes, start: int, first: _Kind) -> int:
    """The size of a free-format frame without padding, in bytes; 0 if no further header of the same kind follows."""
    position = data.find(data[start : start + 2], start + 24, start + (1 << 13))
    while position >= 0:
        kind = _kind(data[position + 1 : position + 3])
        if kind is not None and not kind.size and kind.rate == first.rate:
            return position - start - first.padding
        position = data.find(data[start : start + 2], position + 1, start + (1 << 13))
    return 0


class _Info(NamedTuple):
    frames: int | None
    delay: int = 0
    padding: int = 0


def _info(data: bytes, start: int, first: _Kind, mono: bool) -> _Info | None:
    """The contents of the first frame if it is an information frame (Xing, Info or VBRI); else None."""
    if first.layer != 3:
        return None
    side = (17 if mono else 32) if first.version == 3 else (9 if mono else 17)
    place = start + 4 + side
    if data[place : place + 4] not in (b"Xing", b"Info"):
        place += 2  # after a checksum
    if data[place : place + 4] in (b"Xing", b"Info") and place + 8 <= len(data):
        (flags,) = struct.unpack_from(">I", data, place + 4)
        position = place + 8
        frames = struct.unpack_from(">I", data, position)[0] if flags & 1 and position + 4 <= len(data) else None
        position += 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
        tag = data[position : position + 24]
        if len(tag) < 24 or not tag[:4].isalnum():
            return _Info(frames)
        both = int.from_bytes(tag[21:24], "big")
        return _Info(frames, both >> 12, both & 0xFFF)
    place = start + 36
    if data[place : place + 4] == b"VBRI" and place + 18 <= len(data):
        return _Info(struct.unpack_from(">I", data, place + 14)[0])
    return None
