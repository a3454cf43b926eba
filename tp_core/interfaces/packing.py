"""The real positions of a batch without padding, for layers that map each position separately."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tp_core.interfaces.sequence import Sequence


class _Placed(torch.autograd.Function):
    """(number, size) → (total, size) with zeros at other places. The places are distinct, so that nothing is added."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, places: Tensor, total: int) -> Tensor:
        ctx.save_for_backward(places)
        return states.new_zeros(total, states.shape[1]).index_copy_(0, places, states)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return _Taken.apply(gradients[0], *ctx.saved_tensors), None, None


class _Taken(torch.autograd.Function):
    """The reverse of :class:`_Placed`: (total, size) → (number, size)."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        ctx.total = states.shape[0]
        return states.index_select(0, places)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return _Placed.apply(gradients[0], *ctx.saved_tensors, ctx.total), None


class Packing:
    """The real positions of a batch in one row, and the parts of the batch that they come from.

    A part has rows of similar length, and is cut to the longest.

    Args:
        parts: the parts; their states are (rows of the part, length of the part, hidden).
        multiple: the number of packed positions is a multiple of this. Additional positions are zero.

    Attributes:
        parts: the parts.
        rows: number of rows of all parts.
        row_of: (number of positions,) int64, the row of each packed position.
    """

    def __init__(self, parts: list[Sequence], multiple: int = 1) -> None:
        self.parts = parts
        self._shapes = [part.states.shape[:2] for part in parts]
        real = torch.cat([part.real().flatten() for part in parts])
        self._added = -int(real.sum()) % multiple
        self._places = torch.cat([real, real.new_ones(self._added)]).nonzero().squeeze(1)
        self._total = real.numel() + self._added
        lengths = torch.tensor([length for rows, length in self._shapes for _ in range(rows)], device=real.device)
        self.rows = len(lengths)
        of_all = torch.arange(self.rows, device=real.device).repeat_interleave(lengths)
        self.row_of = torch.cat([of_all, of_all.new_zeros(self._added)])[self._places]

    def pack(self, states: list[Tensor]) -> Tensor:
        """States of the parts, (rows, length, size) each → (1, number of positions, size)."""
        size = states[0].shape[-1]
        flat = [part.reshape(-1, size) for part in states] + [states[0].new_zeros(self._added, size)]
        packed: Tensor = _Taken.apply(torch.cat(flat), self._places)
        return packed.unsqueeze(0)

    def unpack(self, packed: Tensor) -> list[Tensor]:
        """The reverse of :meth:`pack`, with zeros at padding."""
        placed: Tensor = _Placed.apply(packed.squeeze(0), self._places, self._total)
        sizes = [rows * length for rows, length in self._shapes]
        found = torch.split(placed, [*sizes, self._added])[: len(sizes)]
        return [states.view(*shape, -1) for states, shape in zip(found, self._shapes)]
