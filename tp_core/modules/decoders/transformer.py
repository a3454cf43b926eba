"""The transformer decoder."""

from __future__ import annotations

from tp_core.interfaces import Decoder, Sequence
from tp_core.interfaces.kv_cache import KVCache
from tp_core.modules.decoders.transformer_options import TransformerDecoderConfig
from tp_core.modules.layers.transformer_options import cross_attention
from tp_core.modules.layers.transformer_stack import TransformerStack
from tp_core.options.context import BuildContext


class TransformerDecoder(TransformerStack, Decoder):
    """Layers of causal self-attention, attention to the encoder's states, and feed-forward."""

    def __init__(self, config: TransformerDecoderConfig, context: BuildContext) -> None:
        memory = cross_attention(config, config.cross_attention)
        super().__init__(config, context, context.embedding_size, memory)

    def forward(self, sequence: Sequence | None, memory: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        """States (batch, length, embedding_size) → (batch, length, hidden_size).

        The states of ``memory`` are (batch, source length, memory_size).
        """
        assert sequence is not None  # the config requires a target embedding
        return self.run(sequence, memory, kv_cache)
