"""Cells of a column: numbers of one type and their shapes. Types are merged only if no number changes.

The type of a column is the promotion of its cells' types (``np.promote_types``), but integers stay integers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]
Type = np.dtype[Any]

#: The types of numbers that can be stored.
KEPT = frozenset(map(np.dtype, ("?", "b", "B", "h", "H", "i", "I", "q", "Q", "e", "f", "d")))


class UnusableCellError(Exception):
    """A cell that cannot be stored.

    Args:
        found: the defect of the cell, as a predicate.
        advice: the expected value, and a way to correct the cell.
        row: number of the cell in its column, from 0.
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
        weight: reliability of ``dtype``: 2 if there are numbers, 1 for arrays without numbers, 0 for empty lists, which
            have no type. When two kinds are merged, the type with the larger weight wins.
    """

    form: Literal["number", "bytes", "array"]
    axes: int
    dtype: Type
    weight: int = 2

    def joined(self, other: Kind) -> Kind:
        """The kind for cells of this kind followed by cells of another kind.

        Raises:
            UnusableCellError: one column cannot hold both kinds.
        """
        if (self.form, self.axes) != (other.form, other.axes):
            advice = "expected cells of one kind in a column, arrays of one number of dimensions"
            if not self.weight or not other.weight:
                advice += "; an empty list has one dimension, and np.zeros((0, 4)) has two"
            raise UnusableCellError(f"is {other}, but an earlier cell of the column is {self}", advice)
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
        flat: the numbers of all cells, concatenated, each cell in C order, (numbers,).
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
        """The same numbers as cells of another kind, into which their kind was merged.

        Raises:
            UnusableCellError: the other type cannot hold one of the numbers.
        """
        if kind.dtype == self.flat.dtype:
            return replace(self, kind=kind)
        numbers, wrong = _converted(self.flat, kind.dtype)
        if wrong is not None:
            row = int(np.searchsorted(self.offsets, wrong, side="right")) - 1
            found = f"holds {self.flat[wrong].item()}, which {kind.dtype}, the type for its column, cannot hold"
            raise UnusableCellError(
                found, "expected a column of numbers that one type can hold; convert them to such a type", row
            )
        return Cells(kind, numbers, self.shapes)


def _converted(numbers: Numbers, dtype: Type) -> tuple[Numbers, int | None]:
    """Numbers converted to another type, and the position of the first one that it cannot hold, if any."""
    with np.errstate(invalid="ignore"):
        found = numbers.astype(dtype)
        if numbers.dtype.kind == "i" and dtype.kind == "u":
            wrong = numbers < 0
        elif numbers.dtype.kind in "iu" and numbers.dtype.itemsize == 8 and dtype.kind == "f":
            # The largest integers would be rounded to 2^63 or 2^64, which cannot be converted back.
            end = 2.0 ** (63 if numbers.dtype.kind == "i" else 64)
            wrong = (found == end) | (found.astype(numbers.dtype) != numbers)
        else:
            return found, None
    return found, int(wrong.argmax()) if wrong.any() else None
