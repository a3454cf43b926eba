"""Recurrent decoders with attention over the encoder's states."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tp_core.interfaces import Decoder, KVCache, Sequence
from tp_core.modules.decoders.recurrent_options import RecurrentDecoderConfig
from tp_core.modules.layers.dropout import dropout
from tp_core.modules.layers.linear import Linear
from tp_core.modules.layers.mask import visible_memory
from tp_core.modules.layers.recurrent import RecurrentStack, State
from tp_core.options.context import BuildContext


class RecurrentDecoder(Decoder):
    """LSTM or GRU whose states attend to the encoder's (Luong et al., 2015).

    Global attention with the general score: with a state h, the encoder's states m and their weighted mean c by
    softmax(m · W h), the output is tanh(V [c; h]). Nothing is fed back, so that the network reads a whole text at
    once.
    """

    def __init__(self, config: RecurrentDecoderConfig, context: BuildContext) -> None:
        super().__init__()
        hidden, memory, std = config.hidden_size, context.memory_size, config.init_std
        self.size, self.dropout = hidden, config.dropout
        self.stack = RecurrentStack(config, context.embedding_size)
        parts = config.num_layers * (2 if config.cell == "lstm" else 1)
        self.start = Linear(memory, parts * hidden, std=std) if config.initial_state == "memory" else None
        self.query = Linear(hidden, memory, bias=False, std=std)
        self.output = Linear(memory + hidden, hidden, std=std)

    def forward(self, sequence: Sequence | None, memory: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        """States (batch, length, embedding_size), memory (batch, source length, memory_size) → hidden_size wide."""
        assert sequence is not None  # the config says that it needs a target embedding
        states = self.stack(sequence.states, sequence.mask, kv_cache, self.checkpoint_activations, self._start(memory))
        mask = visible_memory(memory)
        attended = F.scaled_dot_product_attention(
            self.query(states), memory.states, memory.states, None if mask is None else mask.squeeze(1), scale=1.0
        )
        output = torch.tanh(self.output(torch.cat([attended, states], dim=-1)))
        return sequence.with_states(dropout(output, self.dropout, self.training))

    def _start(self, memory: Sequence) -> list[State] | None:
        """The states before the first position, per layer, from the mean of the encoder's."""
        if self.start is None:
            return None
        made = torch.tanh(self.start(memory.pooled("mean"))).unsqueeze(1)
        states: list[Tensor] = list(torch.split(made, self.size, dim=-1))
        each = len(states) // len(self.stack.layers)
        return [tuple(states[i : i + each]) for i in range(0, len(states), each)]
