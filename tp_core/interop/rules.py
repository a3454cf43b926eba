"""Rules of a weight map: how tensors of a checkpoint and weights of a model stand for each other.

A map is a list of rules, used in both directions. Names are templates: ``{layer}`` stands for a number, the same in
all names of a rule; a name that ends in neither ``weight`` nor ``bias`` stands for a layer's weight and, where the
model has one, its bias. Torch-free: torch is imported when tensors are joined or split.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, ...]

_PARTS = (".weight", ".bias")


@functools.cache
def _pattern(template: str) -> re.Pattern[str]:
    pieces = re.split(r"\{(\w+)\}", template)
    found, seen = "", set()
    for number, piece in enumerate(pieces):
        if number % 2 == 0:
            found += re.escape(piece)
        else:
            found += f"(?P={piece})" if piece in seen else rf"(?P<{piece}>\d+)"
            seen.add(piece)
    return re.compile(found)


def match(template: str, name: str) -> tuple[dict[str, str], str] | None:
    """The values of a template's placeholders in a name, and the part of the layer (``.weight``, or nothing).

    None if the name does not fit the template.
    """
    whole = _pattern(template).fullmatch(name)
    if whole is not None:
        return whole.groupdict(), ""
    if template.endswith(_PARTS):
        return None
    for part in _PARTS:
        if name.endswith(part):
            stem = _pattern(template).fullmatch(name.removesuffix(part))
            if stem is not None:
                return stem.groupdict(), part
    return None


@dataclass(frozen=True)
class Rule:
    """Tensors of the checkpoint that together are one weight of the model.

    Attributes:
        theirs: names in the checkpoint, one or several.
        ours: name in the model.
        vocabulary: whether the rows are tokens, so that their number may be changed.
    """

    theirs: str | tuple[str, ...]
    ours: str
    vocabulary: bool = False

    def templates(self) -> tuple[str, ...]:
        return (self.theirs,) if isinstance(self.theirs, str) else self.theirs

    def names_for(self, ours: str) -> tuple[str, ...] | None:
        """The checkpoint's names for a weight of the model, or None when the rule is about another."""
        found = match(self.ours, ours)
        return None if found is None else tuple(name.format(**found[0]) + found[1] for name in self.templates())

    def knows(self, theirs: str) -> bool:
        """True if the rule applies to this tensor of a checkpoint."""
        return any(match(template, theirs) for template in self.templates())

    def shapes(self, ours: Shape) -> list[Shape]:
        """The shapes of the checkpoint's tensors for a weight of this shape."""
        raise NotImplementedError

    def join(self, theirs: list[Tensor]) -> Tensor:
        """The checkpoint's tensors → the model's weight."""
        raise NotImplementedError

    def split(self, ours: Tensor) -> list[Tensor]:
        """The model's weight → the checkpoint's tensors."""
        raise NotImplementedError


class Same(Rule):
    """One tensor, as it is."""

    def shapes(self, ours: Shape) -> list[Shape]:
        return [ours]

    def join(self, theirs: list[Tensor]) -> Tensor:
        return theirs[0]

    def split(self, ours: Tensor) -> list[Tensor]:
        return [ours]


class Transposed(Rule):
    """A matrix that stands the other way round in the checkpoint, (inputs, outputs); vectors as they are."""

    def shapes(self, ours: Shape) -> list[Shape]:
        return [ours[::-1]]

    def join(self, theirs: list[Tensor]) -> Tensor:
        return theirs[0].T if theirs[0].dim() == 2 else theirs[0]

    def split(self, ours: Tensor) -> list[Tensor]:
        return [self.join([ours])]


class AsRow(Rule):
    """A vector that is a matrix of one row in the checkpoint."""

    def shapes(self, ours: Shape) -> list[Shape]:
        return [(1, *ours)]

    def join(self, theirs: list[Tensor]) -> Tensor:
        return theirs[0][0]

    def split(self, ours: Tensor) -> list[Tensor]:
        return [ours.unsqueeze(0)]


@dataclass(frozen=True)
class Stacked(Rule):
    """Several tensors, one above the other: query, key and value projections as one.

    Attributes:
        shares: how the rows are divided, in any unit; equally if empty. Grouped-query attention has
            (heads, groups, groups).
        groups: number of groups by which the rows stand in the model, an equal part of each tensor in each group.
    """

    shares: tuple[int, ...] = ()
    groups: int = 1

    def shapes(self, ours: Shape) -> list[Shape]:
        shares = self.shares or (1,) * len(self.templates())
        return [(ours[0] * share // sum(shares), *ours[1:]) for share in shares]

    def join(self, theirs: list[Tensor]) -> Tensor:
        import torch

        return torch.cat([self._by_group(each) for each in theirs], dim=1).flatten(0, 1)

    def split(self, ours: Tensor) -> list[Tensor]:
        import torch

        sizes = [shape[0] // self.groups for shape in self.shapes(tuple(ours.shape))]
        return [part.flatten(0, 1) for part in torch.split(self._by_group(ours), sizes, dim=1)]

    def _by_group(self, rows: Tensor) -> Tensor:
        return rows.reshape(self.groups, -1, *rows.shape[1:])


@dataclass(frozen=True)
class Fused(Stacked):
    """One tensor in which the checkpoint has stacked what stands by group in the model.

    Attributes:
        transposed: matrices stand the other way round, (inputs, outputs), in the checkpoint.
    """

    transposed: bool = False

    def shapes(self, ours: Shape) -> list[Shape]:
        return [ours[::-1] if self.transposed else ours]

    def join(self, theirs: list[Tensor]) -> Tensor:
        import torch

        rows = self._turned(theirs[0])
        return Stacked.join(self, list(torch.split(rows, self._sizes(rows))))

    def split(self, ours: Tensor) -> list[Tensor]:
        import torch

        sizes = [size // self.groups for size in self._sizes(ours)]
        parts = torch.split(self._by_group(ours), sizes, dim=1)
        return [self._turned(torch.cat([part.flatten(0, 1) for part in parts]))]

    def _sizes(self, rows: Tensor) -> list[int]:
        return [len(rows) * share // sum(self.shares) for share in self.shares]

    def _turned(self, values: Tensor) -> Tensor:
        return values.T if self.transposed and values.dim() == 2 else values


@dataclass(frozen=True)
class Part(Rule):
    """One weight of the model, which is a part of the rows of a tensor of the checkpoint (:func:`parted`).

    Attributes:
        number: of the part, from 0.
        count: of the parts, which have as many rows each.
    """

    number: int = 0
    count: int = 1

    def shapes(self, ours: Shape) -> list[Shape]:
        return [(ours[0] * self.count, *ours[1:])]

    def join(self, theirs: list[Tensor]) -> Tensor:
        return theirs[0].tensor_split(self.count)[self.number]

    def split(self, ours: Tensor) -> list[Tensor]:
        return [ours]  # its part of the tensor


class WithConstant(Rule):
    """A table, and a table of one row that is added at every position: the segment that all tokens have.

    The model has their sum. On the way back the second is zero.
    """

    def shapes(self, ours: Shape) -> list[Shape]:
        return [ours, (1, *ours[1:])]

    def join(self, theirs: list[Tensor]) -> Tensor:
        table, row = theirs
        return (table.double() + row.double()).to(table.dtype)

    def split(self, ours: Tensor) -> list[Tensor]:
        return [ours, ours.new_zeros((1, *ours.shape[1:]))]


class Copy(NamedTuple):
    """A tensor of the checkpoint that repeats another (tied weights), and so may be absent.

    Attributes:
        theirs: the name of the copy.
        of: the tensor that it repeats; where only the copy is there, it is read in its place.
        written: whether to write it.
        checked: whether it must be equal; false where the architecture never reads the copy.
        output: whether it is the output matrix. Where one of other values is stored, it is not tied after all.
    """

    theirs: str
    of: str
    written: bool = False
    checked: bool = True
    output: bool = False


class Computed(NamedTuple):
    """A tensor of the checkpoint that is a formula in the model, such as fixed positions. It is written.

    Attributes:
        values: computes it, as float32.
        checked: whether a checkpoint's, where it is there, must have these values; false where nothing reads it.
    """

    theirs: str
    shape: Shape
    values: Callable[[], Tensor]
    checked: bool = True


class Ignored(NamedTuple):
    """A tensor of the checkpoint that the model has no use for: a computed buffer.

    Attributes:
        zero: whether it can only be left out because its values are all zero.
    """

    theirs: str
    zero: bool = False

    def knows(self, name: str) -> bool:
        return match(self.theirs, name) is not None


Entry = Rule | Copy | Computed | Ignored


def parted(theirs: str, *ours: str) -> list[Part]:
    """Rules for one tensor of the checkpoint that has several weights of the model, one above the other."""
    return [Part(theirs, each, number=number, count=len(ours)) for number, each in enumerate(ours)]


def below(prefix: str, *names: str) -> tuple[str, ...]:
    """Names below a prefix, for rules about several parts of one layer."""
    return tuple(f"{prefix}.{name}" for name in names)
