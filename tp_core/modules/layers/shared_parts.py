"""Parts that the mixers of several layers have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from tp_core.interfaces import Sequence
from tp_core.interfaces.kv_cache import KVCache
from tp_core.interfaces.layer_parts import Mixer, StackPass


class SharedParts(nn.ModuleList):
    """The shared parts of mixers (:meth:`tp_core.interfaces.layer_parts.Mixer.shared_parts`), each once."""

    def __init__(self, mixers: Iterable[Mixer]) -> None:
        super().__init__()
        self.keys: list[Any] = []
        for mixer in mixers:
            for key, make in mixer.shared_parts():
                if key not in self.keys:
                    self.keys.append(key)
                    self.append(make())

    def begin(self, sequence: Sequence, kv_cache: KVCache | None = None) -> StackPass:
        """A forward pass of layers with these parts; states are those that enter the first layer."""
        return StackPass(sequence, kv_cache, zip(self.keys, self))
