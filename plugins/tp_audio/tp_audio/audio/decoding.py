"""Decoding of recordings (WAV, FLAC, Ogg, MP3, AIFF, AU, CAF, W64, NIST), complete and with bounded memory."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tp_audio.audio.containers import contained
from tp_audio.audio.flac import sized_flac
from tp_audio.audio.mpeg import behind_id3, frames_of
from tp_audio.audio.ogg import flac_inside, ogg_links

Samples = NDArray[np.float32]

#: The supported formats, for messages.
KINDS = "WAV, FLAC, Ogg (Vorbis, Opus, FLAC), MP3, AIFF, AU, CAF, W64 and NIST"

#: Maximum number of samples per channel: 1 GiB, which is 1.7 hours at 44,100 Hz and 4.7 hours at 16,000 Hz.
MAX_SAMPLES = 1 << 28

#: Larger samples are no overshoot of a decoder: they have another scale, such as 16-bit integers stored as floats.
_LOUDEST = 16.0

#: Number of samples over all channels that are decoded at a time.
_BLOCK = 1 << 22

#: Zeros appended to an MPEG stream, in bytes.
_TAIL = 1 << 12

#: Maximum number of samples in a block of a WAV codec. The last block may be padded.
_CODEC_BLOCK = 1 << 13


class Limits(NamedTuple):
    """The limits of a recording, checked before it is decoded.

    Attributes:
        mix: True if several channels are averaged; False if they are refused.
        seconds: maximum duration.
    """

    mix: bool = True
    seconds: float | None = None


class Decoded(NamedTuple):
    """Samples of one channel, (samples,), and their sampling rate in Hz."""

    samples: Samples
    rate: int


class _Part(NamedTuple):
    """A file that libsndfile reads completely.

    Attributes:
        data: the file.
        samples: number of samples per channel, if it was counted; it then replaces libsndfile's estimate.
        skip: number of samples at the start that are not part of the recording.
        keep: number of samples after these that are part of the recording; None: all.
    """

    data: bytes
    samples: int | None = None
    skip: int = 0
    keep: int | None = None


_NO_LIMITS = Limits()


def decode(data: bytes, limits: Limits = _NO_LIMITS, before: Callable[[int], object] = lambda samples: None) -> Decoded:
    """Decode a recording.

    Sizes in headers are checked against the data. If a writer to a pipe could not know a size, the real size is used.

    Args:
        data: the file's bytes.
        limits: the limits of the recording.
        before: called with the number of samples per channel before their memory is allocated. If the file has several
            streams in a row, it is called for each.

    Raises:
        ValueError: the recording cannot be decoded, is truncated, has no samples, has samples far outside -1 to 1, or
            exceeds the limits. The message lacks its subject: the caller puts a name before it.
    """
    found: list[Samples] = []
    rate = count = 0
    for part in _parts(data):
        decoded = _decoded(part, limits, before, count)
        if rate not in (0, decoded.rate):
            raise ValueError("changes its sampling rate")
        rate = decoded.rate
        found.append(decoded.samples)
        count += len(decoded.samples)
        _check_length(count, rate, limits)
    if not count:
        raise ValueError("has no samples")
    samples = found[0] if len(found) == 1 else np.concatenate(found)
    return Decoded(samples, rate)


def _parts(data: bytes) -> list[_Part]:
    """The parts of a file, which are decoded one after the other."""
    start = 0
    while data.startswith(b"ID3", start):  # ID3 tags belong to MP3, but files of other formats have them too
        start = behind_id3(data, start)
    data = data[start:]
    if data[:4] == b"fLaC":
        return [_Part(sized_flac(data))]
    if data[:4] == b"OggS":
        return [_ogg_part(link) for link in ogg_links(data)]
    file = contained(data)
    if file is not None and not file.mpeg:
        return [_Part(file.data, keep=file.samples)]
    frames = frames_of(data if file is None else file.data)
    if frames is None:
        raise ValueError(f"cannot be decoded: format not recognised; {KINDS} can be read")
    # libsndfile estimates the number of frames from the size of the first, and stops there. Zeros at the end make this
    # estimate large enough; they are never decoded.
    longer = frames.data + bytes(max(0, frames.frames * frames.largest - len(frames.data)) + _TAIL)
    return [_Part(longer, frames.samples, frames.skip, frames.keep)]


def _ogg_part(link: bytes) -> _Part:
    flac = flac_inside(link)
    return _Part(link) if flac is None else _Part(sized_flac(flac))


class _File(io.BytesIO):
    """A file of bytes that stops at its start if a damaged header makes libsndfile seek before it.

    libsndfile then notices the damage from the data that it reads.
    """

    def seek(self, offset: int, whence: int = 0) -> int:
        begin = (0, self.tell(), len(self.getbuffer()))[whence]
        return super().seek(max(0, begin + offset))


def _decoded(part: _Part, limits: Limits, before: Callable[[int], object], already: int) -> Decoded:
    """The samples of a part. ``already`` is the number of samples of earlier parts that are in memory."""
    import soundfile

    try:
        with soundfile.SoundFile(_File(part.data)) as file:
            channels, rate = file.channels, file.samplerate
            if channels > 1 and not limits.mix:
                raise ValueError(f"has {channels} channels, expected one (mix_channels: true averages them)")
            count = file.frames if part.samples is None else part.samples
            _check_length(count, rate, limits)
            before(already + count)
            try:
                samples = np.empty(count, np.float32)
            except MemoryError:
                raise ValueError(f"has {count:,} samples, which do not fit in memory") from None
            filled = 0
            while filled < count:
                block: Samples = file.read(min(count - filled, max(1, _BLOCK // channels)), "float32", always_2d=True)
                if not len(block):
                    break
                _check_scale(block)
                samples[filled : filled + len(block)] = block[:, 0] if channels == 1 else block.mean(axis=1)
                filled += len(block)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"cannot be decoded: {error.error_string.removeprefix('Error : ').rstrip('.')}") from None
    if filled < count:
        raise ValueError(f"is truncated: it has {filled:,} samples, its header says {count:,}")
    left = count - part.skip
    keep = left if part.keep is None or not 0 <= left - part.keep < _CODEC_BLOCK else part.keep
    return Decoded(samples[part.skip : part.skip + keep], rate)


def _check_length(count: int, rate: int, limits: Limits) -> None:
    if limits.seconds is not None and count > int(limits.seconds * rate) + 1:
        raise ValueError(f"is {count / rate:.1f} seconds long; max_seconds is {limits.seconds:g}")
    if count > MAX_SAMPLES:
        raise ValueError(f"has {count:,} samples, {count / rate / 3600:,.1f} hours; at most {MAX_SAMPLES:,} are read")


def _check_scale(block: Samples) -> None:
    loudest = float(np.abs(block).max())
    if not np.isfinite(loudest):
        raise ValueError("has samples that are not finite numbers")
    if loudest > _LOUDEST:
        raise ValueError(f"has samples as large as {loudest:,.0f}; floating-point samples must be between -1 and 1")
