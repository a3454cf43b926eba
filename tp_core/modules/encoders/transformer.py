"""The transformer encoder."""

from __future__ import annotations

from tp_core.interfaces import Encoder, Sequence
from tp_core.interfaces.kv_cache import KVCache
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_core.modules.layers.linear import Linear
from tp_core.modules.layers.transformer_stack import TransformerStack
from tp_core.options.context import BuildContext


class TransformerEncoder(TransformerStack, Encoder):
    """A stack of transformer layers."""

    def __init__(self, config: TransformerConfig, context: BuildContext) -> None:
        super().__init__(config, context, context.embedding_size)
        if config.embedding_projection and self.projection is None:
            self.projection = Linear(context.embedding_size, config.hidden_size, std=config.init_std)

    def forward(self, sequence: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        """States (batch, length, embedding_size) → (batch, length, hidden_size)."""
        return self.run(sequence, kv_cache=kv_cache)
