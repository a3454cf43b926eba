"""Padding moved behind the real positions, for layers that read a row from its beginning."""

from __future__ import annotations

import torch
from torch import Tensor


class Compaction:
    """The real positions of each row moved to its front in their order, and back; waits for no device.

    Attributes:
        mask: (batch, length), True where real.
        lengths: (batch,) number of real positions of each row.
    """

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask
        self.lengths = mask.sum(dim=1)
        self._order = (~mask).to(torch.uint8).argsort(dim=1, stable=True)
        self._place = (mask.cumsum(dim=1) - 1).clamp(min=0)

    def front(self, states: Tensor) -> Tensor:
        """(batch, length, size), padding anywhere → the same shape, padding last."""
        return states.gather(1, self._order.unsqueeze(-1).expand_as(states))

    def back(self, states: Tensor) -> Tensor:
        """(batch, length, size), padding last → the same shape, everything in its place, zeros at padding."""
        placed = states.gather(1, self._place.unsqueeze(-1).expand_as(states))
        return placed.masked_fill(~self.mask.unsqueeze(-1), 0)
