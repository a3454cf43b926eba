"""Rules that map the tensors of a checkpoint to the weights of a model.

A table is a list of rules and is used in both directions. Names are templates. ``{layer}`` stands for a number, which
is the same in all names of a rule. A name that ends in neither ``weight`` nor ``bias`` stands for the weight of a layer
and, if the model has one, its bias. Torch-free: torch is only imported when tensors are joined or split.
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
    """The values of a template's placeholders in a name, and the suffix that the template leaves out.

    The suffix is ``.weight``, ``.bias`` or empty.

    Returns:
        None if the name does not match the template.
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
    """The base of rules: one or several tensors of the checkpoint that form one weight of the model.

    Attributes:
        theirs: one or several names in the checkpoint.
        ours: name in the model.
        vocabulary: True if the rows are tokens, so that their number may change.
    """

    theirs: str | tuple[str, ...]
    ours: str
    vocabulary: bool = False

    def templates(self) -> tuple[str, ...]:
        return (self.theirs,) if isinstance(self.theirs, str) else self.theirs

    def names_for(self, ours: str) -> tuple[str, ...] | None:
        """The checkpoint's names for a weight of the model; None if the rule is for another weight."""
        found = match(self.ours, ours)
        return None if found is None else tuple(name.format(**found[0]) + found[1] for name in self.templates())

    def knows(self, theirs: str) -> bool:
        """True if the rule applies to this tensor of a checkpoint."""
        return any(match(template, theirs) for template in self.templates())

    def shapes(self, ours: Shape) -> list[Shape]:
        """The shapes of the checkpoint's tensors for a weight of this shape."""
        raise NotImplementedError

    def join(self, theirs: list[Tensor]) -> Tensor:
        """Convert the checkpoint's tensors to the model's weight."""
        raise NotImplementedError

    def split(self, ours: Tensor) -> list[Tensor]:
        """Convert the model's weight to the checkpoint's tensors."""
        raise NotImplementedError


class Same(Rule):
    """One tensor that is equal in the checkpoint and the model."""

    def shapes(self, ours: Shape) -> list[Shape]:
        return [ours]

    def join(self, theirs: list[Tensor]) -> Tensor:
        return theirs[0]

    def split(self, ours: Tensor) -> list[Tensor]:
        return [ours]


class Transposed(Rule):
    """A matrix that is transposed in the checkpoint, (inputs, outputs); vectors are equal."""

    def shapes(self, ours: Shape) -> list[Shape]:
        return [ours[::-1]]

    def join(self, theirs: list[Tensor]) -> Tensor:
        return theirs[0].T if theirs[0].dim() == 2 else theirs[0]

    def split(self, ours: Tensor) -> list[Tensor]:
        return [self.join([ours])]


class AsRow(Rule):
    """A vector that is a matrix with one row in the checkpoint."""

    def shapes(self, ours: Shape) -> list[Shape]:
        return [(1, *ours)]

    def join(self, theirs: list[Tensor]) -> Tensor:
        return theirs[0][0]

    def split(self, ours: Tensor) -> list[Tensor]:
        return [ours.unsqueeze(0)]


@dataclass(frozen=True)
class Stacked(Rule):
    """Several tensors that the model concatenates by rows, such as query, key and value projections.

    Attributes:
        shares: relative number of rows of each tensor; empty for equal numbers. Grouped-query attention has
            (heads, groups, groups).
        groups: number of groups in which the model arranges the rows; each group has an equal part of each tensor.
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
    """One tensor whose rows are concatenated by part in the checkpoint and arranged by group in the model.

    Attributes:
        transposed: True if matrices are transposed, (inputs, outputs), in the checkpoint.
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
    """One weight of the model that consists of some rows of a checkpoint tensor (:func:`parted`).

    Attributes:
        number: index of the part, from 0.
        count: number of parts, which have equal numbers of rows.
    """

    number: int = 0
    count: int = 1

    def shapes(self, ours: Shape) -> list[Shape]:
        return [(ours[0] * self.count, *ours[1:])]

    def join(self, theirs: list[Tensor]) -> Tensor:
        return theirs[0].tensor_split(self.count)[self.number]

    def split(self, ours: Tensor) -> list[Tensor]:
        return [ours]  # the caller concatenates the parts


class WithConstant(Rule):
    """A table, and a table with a single row that is added at every position, such as the only segment.

    The model stores their sum. In a written checkpoint, the second table is zero.
    """

    def shapes(self, ours: Shape) -> list[Shape]:
        return [ours, (1, *ours[1:])]

    def join(self, theirs: list[Tensor]) -> Tensor:
        table, row = theirs
        return (table.double() + row.double()).to(table.dtype)

    def split(self, ours: Tensor) -> list[Tensor]:
        return [ours, ours.new_zeros((1, *ours.shape[1:]))]


class Copy(NamedTuple):
    """A tensor of the checkpoint that repeats another (tied weights) and may be absent.

    Attributes:
        theirs: name of the copy.
        of: name of the tensor that it repeats. If only the copy exists, it is read instead.
        written: True if the copy is written to checkpoints.
        checked: True if the copy must be equal; False if the architecture never reads it.
        output: True if it is the output matrix. If a checkpoint stores other values for it, it is not tied.
    """

    theirs: str
    of: str
    written: bool = False
    checked: bool = True
    output: bool = False


class Computed(NamedTuple):
    """A tensor of the checkpoint that the model computes, such as fixed positions. It is written to checkpoints.

    Attributes:
        theirs: name of the tensor.
        shape: its shape.
        values: a function that computes it in float32.
        checked: True if the tensor of a checkpoint must have these values; False if nothing reads it.
    """

    theirs: str
    shape: Shape
    values: Callable[[], Tensor]
    checked: bool = True


class Ignored(NamedTuple):
    """A tensor of the checkpoint that the model does not use, such as a computed buffer.

    Attributes:
        theirs: name of the tensor.
        zero: True if the tensor may only be ignored when all its values are zero.
    """

    theirs: str
    zero: bool = False

    def knows(self, name: str) -> bool:
        return match(self.theirs, name) is not None


class Own(NamedTuple):
    """A weight of the model that checkpoints do not have, such as thresholds. It is not written.

    Attributes:
        ours: name of the weight.
    """

    ours: str


WeightRule = Rule | Copy | Computed | Ignored | Own


def parted(theirs: str, *ours: str) -> list[Part]:
    """Rules for one checkpoint tensor that is the concatenation, by rows, of several weights of the model."""
    return [Part(theirs, each, number=number, count=len(ours)) for number, each in enumerate(ours)]


def below(prefix: str, *names: str) -> tuple[str, ...]:
    """Names with a common prefix, for rules about several parts of one layer."""
    return tuple(f"{prefix}.{name}" for name in names)
