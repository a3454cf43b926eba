"""Recordings as samples: decoded, of one channel, at one sampling rate."""

from __future__ import annotations

import io
import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tp_core.data.sources_media import media_bytes, media_name
from tp_core.errors import DataError
from tp_core.interfaces import Record

Samples = NDArray[np.float32]

#: Sizes from here on are written where a stream's length is not known yet.
_UNKNOWN_SIZE = 0x7FFFFF00


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
        return resampled(mono, rate, how.rate)
    except ValueError as error:
        raise DataError(f"{_name(record, field)} {error}", file=record.file, line=record.line) from None


def decode(data: bytes) -> tuple[Samples, int]:
    """Samples (samples, channels) and samples per second of an encoded recording: WAV, FLAC, OGG, MP3.

    Raises:
        ValueError: it cannot be decoded, ends too early, or has no samples; the message goes on from a name.
    """
    import soundfile

    lacking = _missing_bytes(data)
    if lacking:
        raise ValueError(f"is truncated: {lacking:,} bytes are missing at the end")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            samples: Samples = file.read(dtype="float32", always_2d=True)
            expected, rate = file.frames, file.samplerate
    except soundfile.LibsndfileError as error:
        raise ValueError(f"cannot be decoded: {error.error_string.rstrip('.')}") from None
    if not len(samples):
        raise ValueError("has no samples")
    if len(samples) < expected < 1 << 40:
        raise ValueError(f"is truncated: it has {len(samples):,} samples, its header says {expected:,}")
    if not np.isfinite(samples).all():
        raise ValueError("has samples that are not finite numbers")
    return samples, rate


def resampled(samples: Samples, rate: int, wanted: int) -> Samples:
    """Samples at another rate, by a windowed sinc (torchaudio)."""
    import torch
    from torchaudio.functional import resample

    found: Samples = resample(torch.from_numpy(np.ascontiguousarray(samples)), rate, wanted).numpy()
    return found


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
