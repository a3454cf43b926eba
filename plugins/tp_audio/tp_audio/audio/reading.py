"""Recordings as samples: decoded, of one channel, at one sampling rate."""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from tp_audio.audio.decoding import MAX_SAMPLES, Decoded, Limits, Samples, decode
from tp_core.data.sources.media import media_bytes, media_name
from tp_core.data.sources.turns import Turns
from tp_core.errors import DataError
from tp_core.interfaces import Record

#: A rate that is so many times the other is no recording's: its header is damaged.
_FARTHEST = 100

#: Both sides of a ratio of rates are at most so large: the filter has as many values as their product.
_SIDE = 1000

#: Recordings of more samples than this are decoded and resampled one at a time: both take up to 12 bytes a sample.
_LARGE = 1 << 24
_turns = Turns()


class Reading(NamedTuple):
    """The options of reading recordings.

    Attributes:
        rate: samples per second that are wanted.
        resample: whether recordings of another rate are resampled; else they are refused.
        mix: whether several channels are averaged; else such recordings are refused.
    """

    rate: int
    resample: bool = True
    mix: bool = True


def read_samples(record: Record, how: Reading, field: str = "audio", seconds: float | None = None) -> Samples:
    """The samples of a record's recording, (samples,), between -1 and 1.

    Args:
        seconds: the longest that it may be; a longer one is not decoded.

    Raises:
        DataError: there is no recording, it cannot be decoded, has no samples, or is not as it should be.
    """
    data = media_bytes(record, field)
    with ExitStack() as turn:

        def wait(count: int) -> None:
            turn.enter_context(_turns.alone(count > _LARGE))

        try:
            return _at_rate(decode(data, Limits(how.mix, seconds), wait), how)
        except MemoryError:
            problem = "has more samples than there is memory for"
        except ValueError as error:
            problem = str(error)
    raise DataError(f"{_name(record, field)} {problem}", file=record.file, line=record.line)


def _at_rate(decoded: Decoded, how: Reading) -> Samples:
    """Samples at the rate that is wanted.

    Raises:
        ValueError: they are not to be resampled, or cannot be; the message goes on from a name.
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


def _name(record: Record, field: str) -> str:
    name = media_name(record, field)
    return "the recording" if name is None else f"the recording '{name}'"
