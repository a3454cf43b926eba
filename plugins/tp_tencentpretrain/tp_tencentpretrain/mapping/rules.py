"""Rules of weights that only the original needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tp_core.interop.rules import Rule, Shape, Stacked

if TYPE_CHECKING:
    from torch import Tensor


class Reshaped(Rule):
    """A tensor with additional dimensions of size one in the original.

    Attributes:
        axes: the positions of these dimensions in the original's tensor, in ascending order.
    """

    axes: tuple[int, ...] = (0,)

    def shapes(self, ours: Shape) -> list[Shape]:
        found = list(ours)
        for axis in self.axes:
            found.insert(axis, 1)
        return [tuple(found)]

    def join(self, theirs: list[Tensor]) -> Tensor:
        return theirs[0].reshape([size for axis, size in enumerate(theirs[0].shape) if axis not in self.axes])

    def split(self, ours: Tensor) -> list[Tensor]:
        return [ours.reshape(self.shapes(tuple(ours.shape))[0])]


class WithTwoRows(Reshaped):
    """A tensor with one more dimension at its beginning and another one behind it."""

    axes = (0, 1)


@dataclass(frozen=True)
class Scaled(Rule):
    """A tensor that the original divides by a number where the model uses it as it is.

    Attributes:
        divisor: the number.
    """

    divisor: float = 1.0

    def shapes(self, ours: Shape) -> list[Shape]:
        return [ours]

    def join(self, theirs: list[Tensor]) -> Tensor:
        return theirs[0] / self.divisor

    def split(self, ours: Tensor) -> list[Tensor]:
        return [ours * self.divisor]


@dataclass(frozen=True)
class RotatedStacked(Stacked):
    """Query, key and value projections whose rotation pairs neighbouring channels, as Meta's LLaMA does.

    The model pairs channels of the two halves of a head, as transformers does. The rows of queries and keys are put in
    another order; what the model computes stays the same.

    Attributes:
        size: width of a head.
    """

    size: int = 1

    def join(self, theirs: list[Tensor]) -> Tensor:
        queries, keys, values = theirs
        return super().join([self._halves(queries), self._halves(keys), values])

    def split(self, ours: Tensor) -> list[Tensor]:
        queries, keys, values = super().split(ours)
        return [self._neighbours(queries), self._neighbours(keys), values]

    def _halves(self, rows: Tensor) -> Tensor:
        pairs = rows.reshape(-1, self.size // 2, 2, *rows.shape[1:])
        return pairs.transpose(1, 2).reshape(rows.shape)

    def _neighbours(self, rows: Tensor) -> Tensor:
        halves = rows.reshape(-1, 2, self.size // 2, *rows.shape[1:])
        return halves.transpose(1, 2).reshape(rows.shape)


class GatedFilters(Rule):
    """Filters and gates of a convolution over positions, which the model stores one after the other.

    The original's filters are (outputs, 1, width, inputs) in the first layer and (outputs, inputs, width, 1) in others.
    """

    first = False

    def shapes(self, ours: Shape) -> list[Shape]:
        outputs, inputs, width = ours[0] // 2, *ours[1:]
        own = (outputs, 1, width, inputs) if self.first else (outputs, inputs, width, 1)
        return [own, own]

    def join(self, theirs: list[Tensor]) -> Tensor:
        import torch

        rows = torch.cat(theirs)
        return rows.squeeze(1).transpose(1, 2) if self.first else rows.squeeze(3)

    def split(self, ours: Tensor) -> list[Tensor]:
        rows = ours.transpose(1, 2).unsqueeze(1) if self.first else ours.unsqueeze(3)
        return [*rows.chunk(2)]


class FirstGatedFilters(GatedFilters):
    """:class:`GatedFilters` of the first layer."""

    first = True


class GatedBiases(Rule):
    """Biases of filters and gates; the original has two of each, which it adds. Written biases have a second of zero.

    The names are those of the filters' bias, their second bias, the gates' bias, and their second bias.
    """

    def shapes(self, ours: Shape) -> list[Shape]:
        size = ours[0] // 2
        return [(size,), (1, size, 1, 1)] * 2

    def join(self, theirs: list[Tensor]) -> Tensor:
        import torch

        filters, filters_more, gates, gates_more = (each.flatten().double() for each in theirs)
        return torch.cat([filters + filters_more, gates + gates_more]).to(theirs[0].dtype)

    def split(self, ours: Tensor) -> list[Tensor]:
        filters, gates = ours.chunk(2)
        return [filters, filters.new_zeros(1, len(filters), 1, 1), gates, gates.new_zeros(1, len(gates), 1, 1)]
