"""Samples in as few bytes as give them back bit for bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tp_audio.audio.decoding import Samples

#: One step of 16 bits; a power of two, so that multiplying by it and dividing rounds nothing.
_SCALE = np.float32(32768)


def packed(samples: Samples) -> NDArray[np.uint8]:
    """The bytes of samples, (samples, bytes of a sample).

    They are two of 16-bit integers where these give the very samples back, as of a file that has 16 or 8 bits and was
    neither resampled nor mixed; else the four of a float.
    """
    whole = np.ascontiguousarray(samples)
    steps = whole * _SCALE
    short = steps.astype(np.int32).astype(np.int16)
    # By their bits, in which -0 is not 0. What has no place in 16 bits, or is between two steps, comes back as another.
    same = np.array_equal(short.astype(np.float32).view(np.int32), steps.view(np.int32))
    kept: NDArray[np.int16] | Samples = short if same else whole
    return kept.view(np.uint8).reshape(len(whole), -1)


def unpacked(data: NDArray[np.uint8]) -> Samples:
    """Samples from their bytes, (samples,)."""
    found: Samples
    if data.shape[1] == 2:
        found = data.view(np.int16).reshape(-1).astype(np.float32) / _SCALE
    else:
        found = data.view(np.float32).reshape(-1).copy()  # those of rows may begin at any even byte
    return found
