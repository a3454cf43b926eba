"""The transformer encoder."""

from __future__ import annotations

from torch import Tensor

from tp_core.interfaces import Cache, Encoder, Sequence
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_core.modules.layers.fourier import fourier_matrices
from tp_core.modules.layers.linear import Linear
from tp_core.modules.layers.mask import AttentionState
from tp_core.modules.layers.transformer_stack import TransformerStack
from tp_core.options.context import BuildContext


class TransformerEncoder(TransformerStack, Encoder):
    """Layers of self-attention, or Fourier mixing, and feed-forward."""

    def __init__(self, config: TransformerConfig, context: BuildContext) -> None:
        super().__init__(config.placed(context), context.embedding_size, config.hidden_size)
        self.config = config
        if config.embedding_projection and self.projection is None:
            self.projection = Linear(context.embedding_size, config.hidden_size, std=config.init_std)

    def forward(self, sequence: Sequence, cache: Cache | None = None) -> Sequence:
        """States (batch, length, embedding_size) → (batch, length, hidden_size)."""
        return self.run(sequence, cache=cache)

    def _shared(self, sequence: Sequence, states: Tensor, cache: Cache | None) -> AttentionState:
        if self.config.uses_attention():
            return super()._shared(sequence, states, cache)
        return AttentionState(fourier=fourier_matrices(sequence, self.config.fourier_padding))
