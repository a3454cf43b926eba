"""Code that all targets of masked patches share."""

from __future__ import annotations

import torch
from torch import Tensor

from tp_core.interfaces import IGNORE, Batch, Features, Target


class MaskedTarget(Target):
    """Base of targets whose labels are the positions of masked patches in the grid, ``positions`` (batch, masked).

    ``IGNORE`` pads ``positions`` if pictures have different numbers of masked patches.
    """

    stream: str | None = None

    def positions(self, batch: Batch) -> Tensor:
        return self.labels_of(batch)["positions"]

    def denominator(self, batch: Batch) -> Tensor:
        return (self.positions(batch) != IGNORE).sum().float()

    def pixels(self, batch: Batch) -> Tensor:
        """The pictures that the target's stream reads, (batch, channels, height, width)."""
        inputs = batch.source[self.stream] if self.stream is not None else next(iter(batch.source.values()))
        return inputs["pixel_values"]


def patch_states(features: Features) -> Tensor:
    """The states of all patches, row by row, (batch, patches, size)."""
    return features.sequence.states[:, features.sequence.published["patches"].flatten()]


def rows_at(values: Tensor, positions: Tensor) -> Tensor:
    """Select the rows of ``values`` (batch, patches, size) at ``positions`` (batch, masked): (batch, masked, size)."""
    index = positions.clamp(min=0).unsqueeze(-1).expand(-1, -1, values.shape[-1])
    return torch.gather(values, 1, index)
