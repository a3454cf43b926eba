"""Filter banks: what a model of speech reads in place of samples."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torchaudio.compliance import kaldi

from tp_audio.audio.decoding import Samples
from tp_audio.processors.options import Normalization

Frames = NDArray[np.float32]

#: Kaldi's filter banks are of samples in the range of 16-bit integers.
_SCALE = 32768.0

#: Of what does not vary, a bin of digital silence, nothing is left to divide.
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
    """Logarithms of mel filter banks, (frames, bins), as Kaldi has them without dither.

    Args:
        samples: between -1 and 1; at least one frame of them.
        rate: samples per second.
        frame_length: of a frame, in milliseconds.
        frame_shift: from one frame to the next, in milliseconds.
        high_frequency: of the highest bin, in Hz; 0 and below: so far from half the rate.
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
    """Frames with a mean of 0 and a variance of 1 in each bin over the recording, or the mean alone.

    With ``level``, over all bins together: what sounds all the time remains, such as a tone.
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
