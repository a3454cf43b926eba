"""Cells of a column: numbers of one type and their shapes. A type is joined with another only where no number changes.

The type of a column is the one that NumPy joins its cells' types to (``np.promote_types``), but integers stay integers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]
Type = np.dtype[Any]

#: The types of numbers that are kept.
KEPT = frozenset(map(np.dtype, ("?", "b", "B", "h", "H", "i", "I", "q", "Q", "e", "f", "d")))


class UnusableCellError(Exception):
    """A cell that cannot be kept.

    Args:
        found: what is wrong with the cell, as a predicate.
        advice: what is expected, and what to do.
        row: of the cell in its column, from 0.
    """

    def __init__(self, found: str, advice: str, row: int = 0) -> None:
        super().__init__(found)
        self.found, self.advice, self.row = found, advice, row


@dataclass(frozen=True)
class Kind:
    """The kind of a column's cells.

    Attributes:
        form: single numbers, bytes, or arrays.
        axes: number of dimensions of each cell; 0 for single numbers.
        dtype: type of the numbers.
        weight: 2 for the type of numbers that there are, 1 for that of arrays without numbers, 0 for that of empty
            lists, which say nothing of it. Of two types, the heavier one counts.
    """

    form: Literal["number", "bytes", "array"]
    axes: int
    dtype: Type
    weight: int = 2

    def joined(self, other: Kind) -> Kind:
        """The kind for cells of this one and of another that comes behind.

        Raises:
            UnusableCellError: one column cannot hold both.
        """
        if (self.form, self.axes) != (other.form, other.axes):
            advice = "expected cells of one kind in a column, arrays of one number of dimensions"
            if not self.weight or not other.weight:
                advice += "; an empty list has one dimension, and np.zeros((0, 4)) has two"
            raise UnusableCellError(f"is {other}, and what stands before it in the column is {self}", advice)
        if self.weight != other.weight:
            return self if self.weight > other.weight else other
        dtype = np.promote_types(self.dtype, other.dtype)
        if dtype.kind == "f" and self.dtype.kind in "iu" and other.dtype.kind in "iu":
            dtype = np.dtype(np.uint64)
        return replace(self, dtype=dtype)

    def __str__(self) -> str:
        names = {"number": "a single number", "bytes": "bytes"}
        return names.get(self.form) or f"an array of {self.axes} dimension{'s' * (self.axes != 1)}"


@dataclass(frozen=True)
class Cells:
    """The cells of a column, all of one kind.

    Attributes:
        flat: the numbers of all cells, one cell behind the other, each in C order, (numbers,).
        shapes: the shapes of the cells, (cells, axes).
    """

    kind: Kind
    flat: Numbers
    shapes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.shapes)

    @property
    def offsets(self) -> NDArray[np.int64]:
        """The bounds of the cells in ``flat``, (cells + 1,); the last one is the end of the last cell."""
        found = np.zeros(len(self) + 1, dtype=np.int64)
        np.cumsum(self.shapes[:, 0] if self.kind.axes == 1 else self.shapes.prod(axis=1), out=found[1:])
        return found

    def of_kind(self, kind: Kind) -> Cells:
        """The same numbers as cells of a kind that theirs was joined to.

        Raises:
            UnusableCellError: its type cannot hold one of them.
        """
        if kind.dtype == self.flat.dtype:
            return replace(self, kind=kind)
        numbers, wrong = _converted(self.flat, kind.dtype)
        if wrong is not None:
            row = int(np.searchsorted(self.offsets, wrong, side="right")) - 1
            found = f"holds {self.flat[wrong].item()}, which {kind.dtype}, the type for its column, cannot hold"
            raise UnusableCellError(
                found, "expected a column of numbers that one type can hold; give them in such a type", row
            )
        return Cells(kind, numbers, self.shapes)


def _converted(numbers: Numbers, dtype: Type) -> tuple[Numbers, int | None]:
    """Numbers in the type that theirs was joined to, and the place of one that it cannot hold."""
    with np.errstate(invalid="ignore"):
        found = numbers.astype(dtype)
        if numbers.dtype.kind == "i" and dtype.kind == "u":
            wrong = numbers < 0
        elif numbers.dtype.kind in "iu" and numbers.dtype.itemsize == 8 and dtype.kind == "f":
            # The largest integers become 2^63 or 2^64, which has no way back.
            end = 2.0 ** (63 if numbers.dtype.kind == "i" else 64)
            wrong = (found == end) | (found.astype(numbers.dtype) != numbers)
        else:
            return found, None
    return found, int(wrong.argmax()) if wrong.any() else None
