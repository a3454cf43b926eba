"""Modules that the mixers of several layers share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from tp_core.interfaces import Sequence
from tp_core.interfaces.kv_cache import KVCache
from tp_core.interfaces.layer_parts import Mixer, StackPass


class SharedParts(nn.ModuleList):
    """The shared parts of mixers (:meth:`tp_core.interfaces.layer_parts.Mixer.shared_parts`), without duplicates."""

    def __init__(self, mixers: Iterable[Mixer]) -> None:
        super().__init__()
        self.keys: list[Any] = []
        for mixer in mixers:
            for key, make in mixer.shared_parts():
                if key not in self.keys:
                    self.keys.append(key)
                    self.append(make())

    def begin(self, sequence: Sequence, kv_cache: KVCache | None = None) -> StackPass:
        """Begin a forward pass of the layers with these parts; ``sequence`` is the input of the first layer."""
        return StackPass(sequence, kv_cache, zip(self.keys, self))
