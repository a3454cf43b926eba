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
    """LSTM or GRU whose states attend to the encoder's states (Luong et al., 2015).

    It uses global attention with the general score. For a decoder state h and encoder states m, c is the mean of m with
    the weights softmax(m · W h), and the output is tanh(V [c; h]). The output is not fed back into the network, so that
    a whole text is processed at once.
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
        """States (batch, length, embedding_size) → (batch, length, hidden_size).

        The states of ``memory`` are (batch, source length, memory_size).
        """
        assert sequence is not None  # the config requires a target embedding
        states = self.stack(sequence.states, sequence.mask, kv_cache, self.checkpoint_activations, self._start(memory))
        mask = visible_memory(memory)
        attended = F.scaled_dot_product_attention(
            self.query(states), memory.states, memory.states, None if mask is None else mask.squeeze(1), scale=1.0
        )
        output = torch.tanh(self.output(torch.cat([attended, states], dim=-1)))
        return sequence.with_states(dropout(output, self.dropout, self.training))

    def _start(self, memory: Sequence) -> list[State] | None:
        """The initial state of each layer, computed from the mean of the encoder's states."""
        if self.start is None:
            return None
        made = torch.tanh(self.start(memory.pooled("mean"))).unsqueeze(1)
        states: list[Tensor] = list(torch.split(made, self.size, dim=-1))
        each = len(states) // len(self.stack.layers)
        return [tuple(states[i : i + each]) for i in range(0, len(states), each)]
