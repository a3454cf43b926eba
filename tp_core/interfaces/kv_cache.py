"""The states of modules at earlier positions, kept for incremental decoding."""

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
        cache: the whole.
        name: of the module.
    """

    cache: KVCache
    name: str

    def get(self) -> tuple[Tensor, ...] | None:
        """The tensors that the module has put here; None at the first call."""
        return self.cache.get(self.name)

    def put(self, *tensors: Tensor) -> None:
        """Keep the module's state for the next call, in place of the state before; tensors are (batch, ...)."""
        self.cache.put(self.name, *tensors)

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, ...]:
        """Add the keys and values of new positions, (batch, heads, new, size); gives back those of all positions."""
        before = self.get()
        if before is not None:
            keys, values = torch.cat([before[0], keys], dim=2), torch.cat([before[1], values], dim=2)
        self.put(keys, values)
        return keys, values


class KVCache:
    """The states of modules at earlier positions, kept so that a text can be decoded piece by piece.

    A cache serves one side of a model: the decoder's if there is a decoder, else the encoder's. Every tensor in it has
    one row per sample.

    Attributes:
        length: number of positions so far, the present ones included.
        start: number of positions before the present ones.
        mask: (batch, length), True where a position is real; None when every position is real.
        positions: (batch or 1, length) position number of each place.
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
        """The tensors that the module of this name has put into the cache; None at the first call."""
        return self._kept.get(name)

    def put(self, name: str, *tensors: Tensor) -> None:
        """Keep a module's state for the next call, in place of the state before; tensors are (batch, ...)."""
        self._kept[name] = tensors

    def extend(self, sequence: Sequence) -> Sequence:
        """Add new positions to the mask and the positions, once per call of the model.

        Returns:
            The sequence with its positions, which go on where the cache stands and count real places only. Positions
            that the sequence has already are kept.
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
        """Make row ``index[i]`` of every tensor its row ``i``: drops, repeats or exchanges samples.

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
