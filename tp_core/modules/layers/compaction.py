"""Moving of padding to the right, for layers that read a row from its beginning."""

from __future__ import annotations

import torch
from torch import Tensor


class Compaction:
    """Moves the real positions of each row to its beginning, and back, without a device synchronisation.

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
        """Move padding to the right; the shape (batch, length, size) and the order of real positions stay the same."""
        return states.gather(1, self._order.unsqueeze(-1).expand_as(states))

    def back(self, states: Tensor) -> Tensor:
        """Undo :meth:`front`, with zeros at padding; the shape (batch, length, size) stays the same."""
        placed = states.gather(1, self._place.unsqueeze(-1).expand_as(states))
        return placed.masked_fill(~self.mask.unsqueeze(-1), 0)
