"""The embedding component: the sum of embedding modules."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from tp_core.interfaces import Inputs, KVCache, Sequence
from tp_core.modules.build import built
from tp_core.modules.layers.dropout import Dropout
from tp_core.options.context import BuildContext
from tp_core.options.embedding import EmbeddingConfig
from tp_core.spec.choices.part_names import key_of
from tp_core.spec.sections.embedding import EmbeddingOptions


class EmbeddingComponent(nn.Module):
    """The sum of embedding modules, then norm, then dropout."""

    def __init__(
        self, modules: Mapping[str, EmbeddingConfig], options: EmbeddingOptions, context: BuildContext
    ) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({key_of(name): built(config, context) for name, config in modules.items()})
        self.norm = built(options.norm.config, context.embedding_size)
        self.dropout = Dropout(options.dropout)

    def forward(self, inputs: Inputs, kv_cache: KVCache | None = None) -> Sequence:
        """Named tensors → a sequence with states (batch, length, embedding_size).

        With a cache, the positions continue those in the cache.
        """
        sequence: Sequence | None = None
        for part in self.parts.values():
            first = sequence is None
            sequence = part(inputs, sequence)
            if first and kv_cache is not None:
                sequence = kv_cache.extend(sequence)
        assert sequence is not None
        return sequence.with_states(self.dropout(self.norm(sequence.states)))
