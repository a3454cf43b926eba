"""Augmentation of training samples: speed (Ko et al., 2015) and masks (SpecAugment; Park et al., 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tp_audio.audio.decoding import Samples
from tp_audio.audio.features import Frames
from tp_audio.audio.reading import resampled


def at_speed(samples: Samples, speeds: Sequence[float], generator: np.random.Generator) -> Samples:
    """Samples played at a random speed, rounded to hundredths. All speeds are equally likely. The pitch changes too."""
    speed = speeds[0] if len(speeds) == 1 else speeds[int(generator.integers(len(speeds)))]
    return samples if speed == 1 else resampled(samples, round(100 * speed), 100)


class Masks(NamedTuple):
    """SpecAugment's masks, without time warping.

    Attributes:
        time_masks: number of time masks.
        time_mask_width: maximum width of a time mask, in frames.
        time_mask_fraction: maximum width of a time mask, as a share of the recording.
        frequency_masks: number of frequency masks.
        frequency_mask_width: maximum width of a frequency mask, in bins.
    """

    time_masks: int = 0
    time_mask_width: int = 100
    time_mask_fraction: float = 1.0
    frequency_masks: int = 0
    frequency_mask_width: int = 27

    def __call__(self, frames: Frames, generator: np.random.Generator) -> Frames:
        """Apply the masks to frames (frames, bins). The result is a copy, with masked parts set to the mean value."""
        if not self.time_masks and not self.frequency_masks:
            return frames
        length, bins = frames.shape
        hidden: Frames = frames.copy()
        fill = frames.mean()
        for _ in range(self.frequency_masks):
            start, end = _span(bins, self.frequency_mask_width, generator)
            hidden[:, start:end] = fill
        longest = min(self.time_mask_width, int(self.time_mask_fraction * length))
        for _ in range(self.time_masks):
            start, end = _span(length, longest, generator)
            hidden[start:end] = fill
        return hidden


def _span(size: int, longest: int, generator: np.random.Generator) -> tuple[int, int]:
    """A random span (start, end): the length is uniform in 0 to ``longest``, then the start is uniform."""
    width = int(generator.integers(min(longest, size) + 1))
    start = int(generator.integers(size - width + 1))
    return start, start + width
