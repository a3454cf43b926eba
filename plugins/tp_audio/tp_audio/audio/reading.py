"""Reads recordings as samples of one channel at one sampling rate."""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from tp_audio.audio.decoding import MAX_SAMPLES, Decoded, Limits, Samples, decode
from tp_core.data.sources.media import media_bytes, media_name
from tp_core.data.sources.memory_lock import MemoryLock
from tp_core.errors import DataError
from tp_core.interfaces import Record

#: Maximum ratio of two sampling rates. With a larger ratio, the header is damaged.
_FARTHEST = 100

#: Maximum numerator and denominator of a ratio of rates. The size of the filter is their product.
_SIDE = 1000

#: Recordings with more samples are decoded and resampled one at a time. Both steps need up to 12 bytes per sample.
_LARGE = 1 << 24
_memory = MemoryLock()


class Reading(NamedTuple):
    """Options for reading recordings.

    Attributes:
        rate: required sampling rate in Hz.
        resample: True if recordings with another rate are resampled; False if they are refused.
        mix: True if several channels are averaged; False if such recordings are refused.
    """

    rate: int
    resample: bool = True
    mix: bool = True


def read_samples(record: Record, how: Reading, field: str = "audio", seconds: float | None = None) -> Samples:
    """The samples of a record's recording, (samples,), between -1 and 1.

    Args:
        record: the record.
        how: the options for reading.
        field: the record's field that names the recording.
        seconds: maximum duration; a longer recording is not decoded.

    Raises:
        DataError: the recording is missing, cannot be decoded, has no samples, or does not meet the options.
    """
    data = media_bytes(record, field)
    with ExitStack() as turn:

        def wait(count: int) -> None:
            turn.enter_context(_memory.alone(count > _LARGE))

        try:
            return _at_rate(decode(data, Limits(how.mix, seconds), wait), how)
        except MemoryError:
            problem = "has more samples than fit in memory"
        except ValueError as error:
            problem = str(error)
    raise DataError(f"{_name(record, field)} {problem}", file=record.file, line=record.line)


def _at_rate(decoded: Decoded, how: Reading) -> Samples:
    """Samples at the required rate.

    Raises:
        ValueError: resampling is off or impossible. The message lacks its subject: the caller puts a name before it.
    """
    mono, rate = decoded
    if rate == how.rate:
        return np.ascontiguousarray(mono)
    if not how.resample:
        raise ValueError(f"has {rate} samples per second, expected {how.rate} (resample: true resamples)")
    if not how.rate / _FARTHEST <= rate <= how.rate * _FARTHEST:
        raise ValueError(f"has {rate} samples per second, too far from {how.rate} to be resampled")
    if len(mono) * how.rate > MAX_SAMPLES * rate:
        raise ValueError(f"would have more than {MAX_SAMPLES:,} samples at {how.rate} per second")
    return resampled(mono, rate, how.rate)


def resampled(samples: Samples, rate: int, wanted: int) -> Samples:
    """Samples at the rate ``wanted``, resampled by windowed sinc interpolation (torchaudio)."""
    import torch
    from torchaudio.functional import resample

    ratio = _small(Fraction(rate, wanted))
    signal = torch.from_numpy(np.ascontiguousarray(samples))
    found: Samples = resample(signal, ratio.numerator, ratio.denominator).numpy()
    return found


def _small(ratio: Fraction) -> Fraction:
    """The ratio, or a close one with smaller numbers: the filter for 44101 / 16000 would need gigabytes."""
    if max(ratio.numerator, ratio.denominator) <= _SIDE:
        return ratio
    if ratio < 1:
        return 1 / _small(1 / ratio)
    return ratio.limit_denominator(max(1, int(_SIDE / ratio)))


def _name(record: Record, field: str) -> str:
    name = media_name(record, field)
    return "the recording" if name is None else f"the recording '{name}'"
