"""Recordings as samples: decoded, of one channel, at one sampling rate."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tp_audio.audio.ogg import ogg_problem
from tp_core.data.sources_media import media_bytes, media_name
from tp_core.errors import DataError
from tp_core.interfaces import Record

Samples = NDArray[np.float32]

#: Sizes from here on are written where a stream's length is not known yet.
_UNKNOWN_SIZE = 0x7FFFFF00

#: Farther from full scale than any overshoot of a decoder: samples of another scale, such as 16-bit integers as floats.
_LOUDEST = 16.0

#: A rate that is so many times the other is no recording's: its header is damaged.
_FARTHEST = 100

#: Both sides of a ratio of rates are at most so large: the filter has as many values as their product.
_SIDE = 1000


class Reading(NamedTuple):
    """How recordings are read.

    Attributes:
        rate: samples per second that are wanted.
        resample: whether recordings of another rate are resampled; else they are refused.
        mix: whether several channels are averaged; else such recordings are refused.
    """

    rate: int
    resample: bool = True
    mix: bool = True


def read_samples(record: Record, how: Reading, field: str = "audio") -> Samples:
    """The samples of a record's recording, (samples,), between -1 and 1.

    Raises:
        DataError: there is no recording, it cannot be decoded, has no samples, or is not as it should be.
    """
    data = media_bytes(record, field)
    try:
        samples, rate = decode(data)
        if samples.shape[1] > 1 and not how.mix:
            raise ValueError(f"has {samples.shape[1]} channels, expected one (mix_channels: true averages them)")
        mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
        if rate == how.rate:
            return np.ascontiguousarray(mono)
        if not how.resample:
            raise ValueError(f"has {rate} samples per second, expected {how.rate} (resample: true resamples)")
        if not how.rate / _FARTHEST <= rate <= how.rate * _FARTHEST:
            raise ValueError(f"has {rate} samples per second, too far from {how.rate} to be resampled")
        return resampled(mono, rate, how.rate)
    except ValueError as error:
        raise DataError(f"{_name(record, field)} {error}", file=record.file, line=record.line) from None


def decode(data: bytes) -> tuple[Samples, int]:
    """Samples (samples, channels) and samples per second of an encoded recording: WAV, FLAC, OGG, MP3.

    Raises:
        ValueError: it cannot be decoded, ends too early, or has no samples or none that are between about -1 and 1;
            the message goes on from a name.
    """
    import soundfile

    lacking = _missing_bytes(data)
    if lacking:
        raise ValueError(f"is truncated: {lacking:,} bytes are missing at the end")
    problem = ogg_problem(data) if data[:4] == b"OggS" else None
    if problem is not None:
        raise ValueError(problem)
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            samples: Samples = file.read(dtype="float32", always_2d=True)
            expected, rate = file.frames, file.samplerate
    except soundfile.LibsndfileError as error:
        raise ValueError(f"cannot be decoded: {error.error_string.removeprefix('Error : ').rstrip('.')}") from None
    if not len(samples):
        raise ValueError("has no samples")
    if len(samples) < expected < 1 << 40:
        raise ValueError(f"is truncated: it has {len(samples):,} samples, its header says {expected:,}")
    if not np.isfinite(samples).all():
        raise ValueError("has samples that are not finite numbers")
    loudest = float(np.abs(samples).max())
    if loudest > _LOUDEST:
        raise ValueError(f"has samples as large as {loudest:,.0f}; floating-point ones stand between -1 and 1")
    return samples, rate


def resampled(samples: Samples, rate: int, wanted: int) -> Samples:
    """Samples at another rate, by a windowed sinc (torchaudio)."""
    import torch
    from torchaudio.functional import resample

    ratio = _small(Fraction(rate, wanted))
    signal = torch.from_numpy(np.ascontiguousarray(samples))
    found: Samples = resample(signal, ratio.numerator, ratio.denominator).numpy()
    return found


def _small(ratio: Fraction) -> Fraction:
    """The ratio, or one close to it if its numbers are large: 44101 / 16000 would need gigabytes for its filter."""
    if max(ratio.numerator, ratio.denominator) <= _SIDE:
        return ratio
    if ratio < 1:
        return 1 / _small(1 / ratio)
    return ratio.limit_denominator(max(1, int(_SIDE / ratio)))


def _missing_bytes(data: bytes) -> int:
    """How many bytes a WAV file is shorter than it says; libsndfile reads what is there without a word."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return 0
    position = 12
    while position + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, position)
        if name == b"data":
            return 0 if size >= _UNKNOWN_SIZE else max(0, position + 8 + size - len(data))
        position += 8 + size + size % 2
    return 0


def _name(record: Record, field: str) -> str:
    name = media_name(record, field)
    return "the recording" if name is None else f"the recording '{name}'"
