"""Lossless packing of samples into 2 or 4 bytes each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tp_audio.audio.decoding import Samples

#: Scale of 16-bit integers. It is a power of two, so that multiplication and division are exact.
_SCALE = np.float32(32768)


def packed(samples: Samples) -> NDArray[np.uint8]:
    """Samples as bytes, (samples, bytes per sample).

    Samples are stored as 16-bit integers if this loses nothing, for example if the file has 16 or 8 bits and was
    neither resampled nor mixed. Otherwise they are stored as 32-bit floats.
    """
    whole = np.ascontiguousarray(samples)
    steps = whole * _SCALE
    short = steps.astype(np.int32).astype(np.int16)
    # Bits are compared, because -0 equals 0 as a number. Values that 16 bits cannot represent differ after the cast.
    same = np.array_equal(short.astype(np.float32).view(np.int32), steps.view(np.int32))
    kept: NDArray[np.int16] | Samples = short if same else whole
    return kept.view(np.uint8).reshape(len(whole), -1)


def unpacked(data: NDArray[np.uint8]) -> Samples:
    """Samples (samples,) from their packed bytes."""
    found: Samples
    if data.shape[1] == 2:
        found = data.view(np.int16).reshape(-1).astype(np.float32) / _SCALE
    else:
        found = data.view(np.float32).reshape(-1).copy()  # the data of a row may start at any even byte
    return found
