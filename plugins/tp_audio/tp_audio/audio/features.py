"""Log-mel filter banks, the input features of speech models."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torchaudio.compliance import kaldi

from tp_audio.audio.decoding import Samples
from tp_audio.processors.options import Normalization

Frames = NDArray[np.float32]

#: Kaldi computes filter banks from samples in the range of 16-bit integers.
_SCALE = 32768.0

#: Lower bound of the standard deviation. A bin of digital silence has a deviation of zero.
_LEAST_DEVIATION = 1e-5


def filter_banks(
    samples: Samples,
    rate: int,
    bins: int = 80,
    frame_length: float = 25.0,
    frame_shift: float = 10.0,
    low_frequency: float = 20.0,
    high_frequency: float = 0.0,
) -> Frames:
    """Logarithms of mel filter banks, (frames, bins), as Kaldi computes them without dither.

    Args:
        samples: samples between -1 and 1; at least one frame.
        rate: sampling rate in Hz.
        bins: number of filter banks.
        frame_length: length of a frame, in milliseconds.
        frame_shift: distance between the starts of two frames, in milliseconds.
        low_frequency: lower end of the lowest bin, in Hz.
        high_frequency: upper end of the highest bin, in Hz; a value of 0 or below is added to half the sampling rate.
    """
    found: Frames = kaldi.fbank(
        torch.from_numpy(samples * np.float32(_SCALE)).unsqueeze(0),
        num_mel_bins=bins,
        sample_frequency=rate,
        frame_length=frame_length,
        frame_shift=frame_shift,
        low_freq=low_frequency,
        high_freq=high_frequency,
    ).numpy()
    return found


def normalised(frames: Frames, how: Normalization) -> Frames:
    """Frames (frames, bins), normalised over the recording.

    Args:
        frames: the frames of one recording.
        how: ``mean_variance``: mean 0 and variance 1 for each bin. ``mean``: only mean 0. ``level``: mean 0 and
            variance 1 over all bins together, which keeps constant sounds such as a tone. ``none``: no change.
    """
    if how == "none":
        return frames
    axis = None if how == "level" else 0
    centred: Frames = frames - frames.mean(axis=axis)
    if how == "mean":
        return centred
    deviation = np.maximum(centred.std(axis=axis), np.float32(_LEAST_DEVIATION))
    scaled: Frames = centred / deviation
    return scaled
