"""Checks the sizes in the headers of WAV, RF64, W64, AIFF, AU, CAF and NIST files against the bytes in the file.

libsndfile reads a truncated file without an error. A file that was written to a pipe has no valid length in its header.
Depending on the format, libsndfile reads all of such a file, reads nothing, or refuses it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import NamedTuple

#: A size from here on marks an unknown length. SoX writes 0x7F000000 or 0x7FFFF000, arecord 0x80000000 and FFmpeg
#: 0xFFFFFFFF.
_UNKNOWN = 0x7F000000

#: Codes of the WAV codecs that are MPEG audio.
_MPEG = (0x50, 0x55)
_EXTENSIBLE = 0xFFFE

#: An upper bound of the header's size in bytes. It is 44 for PCM, and 58 or 60 for other codecs.
_HEADER = 64

#: Codes of the WAV codecs that store samples in blocks: MS ADPCM, IMA ADPCM and GSM.
_GSM = 0x31
_IN_BLOCKS = (0x02, 0x11, _GSM)

#: Bytes and samples of a GSM block. libsndfile counts one block too many.
_GSM_BLOCK = (65, 320)

#: Maximum number of repeated headers before the samples that are skipped. Files with two are known.
_HEADERS = 4

_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"


class Contained(NamedTuple):
    """The contents of a container file.

    Attributes:
        data: the file with the right size in its header, or the MPEG stream in the file.
        mpeg: True if ``data`` is an MPEG stream.
        samples: number of samples per channel, if the codec stores samples in blocks and the header gives the number.
            The last block may be partly filled.
    """

    data: bytes
    mpeg: bool = False
    samples: int | None = None


class _Field(NamedTuple):
    """The size field in a header.

    Attributes:
        place: position of the field in the file, in bytes.
        form: ``struct`` format of the field; None if it is text.
        said: size of the samples according to the field, in bytes; negative if unknown.
        start: position of the first sample in the file, in bytes.
        more: number of bytes that the field counts in addition to the samples.
    """

    place: int
    form: str | None
    said: int
    start: int
    more: int = 0


def contained(data: bytes) -> Contained | None:
    """The contents of a file in one of these formats, with all its samples; None if it has another format.

    Raises:
        ValueError: the file is truncated. The message lacks its subject: the caller puts a name before it.
    """
    if data[:4] == b"BW64":
        data = b"RF64" + data[4:]  # the same format; libsndfile does not know the name BW64
    if data[:4] in (b"RIFF", b"RIFX", b"RF64") and data[8:12] == b"WAVE":
        return _wave(data)
    if data[:16] == _W64_RIFF:
        data = _headed_once(data, _W64_RIFF, _w64)
        sized = _sized(data, _w64(data))
        if sized[16:24] == b"\xff" * 8:
            sized = sized[:16] + len(sized).to_bytes(8, "little") + sized[24:]
        return Contained(sized)
    if data[:4] == b"FORM" and data[8:12] in (b"AIFF", b"AIFC"):
        return Contained(_sized(data, _aiff(data)))
    if data[:4] == b".snd" and len(data) >= 12:
        start, said = struct.unpack_from(">II", data, 4)
        return Contained(_sized(data, _Field(8, ">I", said, start)))
    if data[:4] == b"caff":
        data = _headed_once(data, data[:12], _caf)
        return Contained(_sized(data, _caf(data)))
    if data[:7] == b"NIST_1A":
        return Contained(_sized(data, _nist(data)))
    return None


def _sized(data: bytes, field: _Field | None) -> bytes:
    """The file with a corrected size field.

    The field is corrected if the size is unknown, or if it exceeds the real size by no more than a header.

    Raises:
        ValueError: more bytes are missing.
    """
    if field is None or field.start > len(data):
        return data  # The file has no samples or is damaged: libsndfile reports it.
    there = len(data) - field.start
    unknown = field.said < 0 or field.said >= _UNKNOWN or (field.said == 0 and not _is_chunk(data, field.start))
    lacking = 0 if unknown else field.said - there
    # Some writers count all or part of the header too. The size is then too large by a few samples.
    if lacking > _HEADER and lacking not in (field.start, field.start - 8):
        raise ValueError(f"is truncated: {lacking:,} bytes are missing at the end")
    right = there if unknown else min(field.said, there)
    if field.form is None or right == field.said:
        return data
    size = struct.pack(field.form, right + field.more)
    return data[: field.place] + size + data[field.place + len(size) :]


def _headed_once(data: bytes, mark: bytes, find: Callable[[bytes], _Field | None]) -> bytes:
    """The file with a single header.

    If libsndfile cannot seek in its output, it writes more headers before and after the samples.

    Args:
        mark: the first bytes of a header.
        find: finds the size field; its ``start`` is the length of a header.
    """
    field = find(data)
    for _ in range(_HEADERS):
        if field is None or not data.startswith(mark, field.start):
            break
        data = data[field.start :]
        field = find(data)
    if field is not None and len(data) >= 2 * field.start and data.startswith(mark, len(data) - field.start):
        data = data[: -field.start]
    return data


def _is_chunk(data: bytes, place: int) -> bool:
    """True if only complete chunks, or nothing, follow ``place``: the file then really has no samples."""
    while place + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, place)
        if not name.isascii() or not name.decode().isprintable():
            return False
        place += 8 + size + size % 2
    return place >= len(data)


def _wave(data: bytes) -> Contained:
    """The contents of a WAV or RF64 file: chunks with a name and a 32-bit size. RF64 has larger sizes in chunk ds64."""
    order = ">" if data[:4] == b"RIFX" else "<"
    position, codec, samples, large = 12, 1, 0, 0
    while position + 8 <= len(data):
        name, size = struct.unpack_from(f"{order}4sI", data, position)
        body = position + 8
        if name == b"ds64" and body + 16 <= len(data):
            large = body + 8
        elif name == b"fmt " and body + 2 <= len(data):
            (codec,) = struct.unpack_from(f"{order}H", data, body)
            if codec == _EXTENSIBLE and size >= 26 and body + 26 <= len(data):
                (codec,) = struct.unpack_from(f"{order}H", data, body + 24)
        elif name == b"fact" and body + 4 <= len(data):
            (samples,) = struct.unpack_from(f"{order}I", data, body)
        elif name == b"data":
            field = _Field(position + 4, f"{order}I", size, body)
            if large and size == 0xFFFFFFFF:
                (said,) = struct.unpack_from("<q", data, large)
                # An encoder that could not seek back to the header leaves 0 here.
                field = _Field(large, "<q", said or -1, body)
            sized = _sized(data, field)
            if codec in _MPEG:
                end = body + size if size < _UNKNOWN else len(data)
                return Contained(sized[body:end], mpeg=True)
            if codec == _GSM:
                whole = min(size, len(data) - body) // _GSM_BLOCK[0] * _GSM_BLOCK[1]
                samples = min(samples or whole, whole)
            return Contained(sized, samples=samples if codec in _IN_BLOCKS and samples else None)
        position = body + size + size % 2
    return Contained(data)


def _w64(data: bytes) -> _Field | None:
    """The size field of a W64 file.

    Chunks are aligned to 8 bytes and have a GUID and a 64-bit size, which includes this header.
    """
    position = 40
    while position + 24 <= len(data):
        (size,) = struct.unpack_from("<q", data, position + 16)
        if data[position : position + 16] == _W64_DATA:
            return _Field(position + 16, "<q", size - 24 if size else -1, position + 24, 24)
        if size < 24:
            return None
        position += size + -size % 8
    return None


def _aiff(data: bytes) -> _Field | None:
    position = 12
    while position + 8 <= len(data):
        name, size = struct.unpack_from(">4sI", data, position)
        if name == b"SSND" and position + 16 <= len(data):
            (offset,) = struct.unpack_from(">I", data, position + 8)
            return _Field(position + 4, ">I", size - 8 - offset if size else -1, position + 16 + offset, 8 + offset)
        position += 8 + size + size % 2
    return None


def _caf(data: bytes) -> _Field | None:
    position = 8
    while position + 12 <= len(data):
        name, size = struct.unpack_from(">4sq", data, position)
        if name == b"data":
            return _Field(position + 4, ">q", size - 4 if size > 0 else -1, position + 16, 4)
        if size < 0:
            return None
        position += 12 + size
    return None


def _nist(data: bytes) -> _Field | None:
    """The size field of a NIST file, whose header has text lines of name, type and value.

    None if the number of samples is missing, as in a file that was written to a pipe.
    """
    numbers = dict(re.findall(rb"(?m)^(sample_count|channel_count|sample_n_bytes) -i (\d{1,18})\s*$", data[:4096]))
    start = re.match(rb"NIST_1A\s+(\d{1,9})", data)
    if start is None or len(numbers) < 3 or b"shorten" in data[:4096]:
        return None
    said = 1
    for number in numbers.values():
        said *= int(number)
    return _Field(0, None, said, int(start[1]))
