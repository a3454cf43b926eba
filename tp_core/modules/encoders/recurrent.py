"""Recurrent encoders: one stack of layers, or one for each direction."""

from __future__ import annotations

import torch

from tp_core.interfaces import Encoder, KVCache, Sequence
from tp_core.modules.encoders.recurrent_options import OneStackConfig, TwoStacksConfig
from tp_core.modules.layers.documents import by_document
from tp_core.modules.layers.recurrent import RecurrentStack
from tp_core.options.context import BuildContext


class RecurrentEncoder(Encoder):
    """RNN, LSTM or GRU; with ``bidirectional``, every layer sees both directions of the previous layer."""

    def __init__(self, config: OneStackConfig, context: BuildContext) -> None:
        super().__init__()
        self.stack = RecurrentStack(config, context.embedding_size, config.bidirectional)

    def forward(self, sequence: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        """States (batch, length, embedding_size) → (batch, length, hidden_size), zeros at padding.

        Raises:
            ValueError: a kv_cache is given, but the states depend on later positions.
        """
        if kv_cache is not None and self.stack.bidirectional:
            raise ValueError("a bidirectional network cannot read a text piece by piece")
        if sequence.document_ids is not None and kv_cache is None:
            return by_document(self.forward, sequence)
        states = self.stack(sequence.states, sequence.mask, kv_cache, self.checkpoint_activations)
        return sequence.with_states(states)


class TwoDirectionsEncoder(Encoder):
    """Two stacks of layers, one for each direction (ELMo; Peters et al., 2018).

    The first half of a state depends on the positions up to it, the second half on the positions from it on. No layer
    sees both directions, so that each half can predict the next token in its direction.
    """

    def __init__(self, config: TwoStacksConfig, context: BuildContext) -> None:
        super().__init__()
        self.ahead = RecurrentStack(config, context.embedding_size)
        self.back = RecurrentStack(config, context.embedding_size)

    def forward(self, sequence: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        """States (batch, length, embedding_size) → (batch, length, hidden_size), zeros at padding.

        Raises:
            ValueError: a kv_cache is given, but half of each state depends on later positions.
        """
        if kv_cache is not None:
            raise ValueError("a bidirectional network cannot read a text piece by piece")
        if sequence.document_ids is not None:
            return by_document(self.forward, sequence)
        states, mask, recompute = sequence.states, sequence.mask, self.checkpoint_activations
        ahead = self.ahead(states, mask, recompute=recompute)
        turned = None if mask is None else mask.flip(1)
        back = self.back(states.flip(1), turned, recompute=recompute).flip(1)
        return sequence.with_states(torch.cat([ahead, back], dim=-1))
