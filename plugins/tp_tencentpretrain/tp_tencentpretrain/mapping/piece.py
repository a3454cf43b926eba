"""A part of a converted model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tp_core.interop.rules import WeightRule


class Mirror(NamedTuple):
    """Tensors that the original stores twice.

    Attributes:
        of: beginning of the names of the tensors.
        theirs: beginning of the names of the copies.
    """

    of: str
    theirs: str


@dataclass(frozen=True)
class Piece:
    """A part of a spec with the rules of its weights.

    Attributes:
        tree: the part of the spec.
        rules: the rules that map the original's tensors to its weights.
        notes: sentences for the user.
        mirrors: tensors that the original stores twice.
    """

    tree: Any
    rules: list[WeightRule] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    mirrors: list[Mirror] = field(default_factory=list)
