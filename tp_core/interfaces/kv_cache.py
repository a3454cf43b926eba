"""The cache for incremental decoding: tensors that modules computed for earlier positions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from tp_core.interfaces import Sequence


class CacheEntry(NamedTuple):
    """The part of a cache that belongs to one module.

    Attributes:
        cache: the whole cache.
        name: name of the module.
    """

    cache: KVCache
    name: str

    def get(self) -> tuple[Tensor, ...] | None:
        """The tensors that the module stored; None at the first call."""
        return self.cache.get(self.name)

    def put(self, *tensors: Tensor) -> None:
        """Store the module's tensors for the next call and replace those stored before; each is (batch, ...)."""
        self.cache.put(self.name, *tensors)

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, ...]:
        """Add the keys and values of new positions, (batch, heads, new, size), and return those of all positions."""
        before = self.get()
        if before is not None:
            keys, values = torch.cat([before[0], keys], dim=2), torch.cat([before[1], values], dim=2)
        self.put(keys, values)
        return keys, values


class KVCache:
    """Tensors that modules computed for earlier positions, so that a text can be decoded step by step.

    A cache serves one side of a model: the decoder if there is one, else the encoder. Every tensor in it has one row
    per sample.

    Attributes:
        length: number of positions so far, the current ones included.
        start: number of positions before the current ones.
        mask: (batch, length), True where a position is real; None when every position is real.
        positions: position numbers, (batch or 1, length).
        memory: the encoder's sequence, to which a decoder attends; computed once, at the first call.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Tensor, ...]] = {}
        self.start = self.length = 0
        self.mask: Tensor | None = None
        self.positions: Tensor | None = None
        self.memory: Sequence | None = None

    def entry(self, name: str) -> CacheEntry:
        """The part of the cache that belongs to the module of this name."""
        return CacheEntry(self, name)

    def get(self, name: str) -> tuple[Tensor, ...] | None:
        """The tensors that the module of this name stored; None at the first call."""
        return self._kept.get(name)

    def put(self, name: str, *tensors: Tensor) -> None:
        """Store a module's tensors for the next call and replace those stored before; each is (batch, ...)."""
        self._kept[name] = tensors

    def extend(self, sequence: Sequence) -> Sequence:
        """Add the new positions to the mask and to the position numbers; called once per call of the model.

        Returns:
            The sequence with position numbers. They continue those in the cache and count real positions only. A
            sequence that already has position numbers keeps them.
        """
        batch, new = sequence.states.shape[:2]
        device = sequence.states.device
        self.start, self.length = self.length, self.length + new
        if sequence.mask is not None or self.mask is not None:
            before = self.mask
            if before is None:
                before = torch.ones((batch, self.start), dtype=torch.bool, device=device)
            self.mask = torch.cat([before, sequence.real()], dim=1)
        positions = sequence.positions
        if positions is None and self.mask is not None:
            positions = (self.mask.cumsum(dim=1)[:, self.start :] - 1).clamp(min=0)
        elif positions is None:
            positions = torch.arange(self.start, self.length, device=device).unsqueeze(0)
        if self.positions is None:
            self.positions = positions
        else:
            rows = max(len(positions), len(self.positions))
            self.positions = torch.cat([self.positions.expand(rows, -1), positions.expand(rows, -1)], dim=1)
        return replace(sequence, positions=positions)

    def reorder(self, index: Tensor) -> None:
        """Move row ``index[i]`` of every tensor to row ``i``, which can drop, repeat or exchange samples.

        Args:
            index: (new batch,).
        """
        self._kept = {name: tuple(t.index_select(0, index) for t in kept) for name, kept in self._kept.items()}
        if self.mask is not None:
            self.mask = self.mask.index_select(0, index)
        if self.positions is not None and len(self.positions) > 1:
            self.positions = self.positions.index_select(0, index)
        if self.memory is not None:
            self.memory = self.memory.select(index)
