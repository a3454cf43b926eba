"""The transformer decoder."""

from __future__ import annotations

from tp_core.interfaces import Cache, Decoder, Sequence
from tp_core.modules.decoders.transformer_options import TransformerDecoderConfig
from tp_core.modules.layers.transformer_stack import TransformerStack
from tp_core.options.context import BuildContext


class TransformerDecoder(TransformerStack, Decoder):
    """Layers of causal self-attention, attention to the encoder's states, and feed-forward."""

    def __init__(self, config: TransformerDecoderConfig, context: BuildContext) -> None:
        super().__init__(config.placed(context), context.embedding_size, config.hidden_size, context.memory_size)

    def forward(self, sequence: Sequence | None, memory: Sequence, cache: Cache | None = None) -> Sequence:
        """States (batch, length, embedding_size), memory (batch, source length, memory_size) → hidden_size wide."""
        assert sequence is not None  # the config says that it needs a target embedding
        return self.run(sequence, memory, cache)
