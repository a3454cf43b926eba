"""The encoder ``acme.gates``."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_acme.gates_options import GatesConfig
from tp_core import BuildContext, Encoder, KVCache, Sequence


class Layer(nn.Module):
    """``x + W_out(mix(W_v n) · sigmoid(W_g n))`` with ``n = norm(x)``; ``mix`` is a depthwise convolution."""

    def __init__(self, config: GatesConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.std = config.init_std
        self.norm = nn.LayerNorm(size)
        self.values_and_gates = nn.Linear(size, 2 * size)
        # Empty, because models are built on the meta device. reset_parameters() sets the values.
        self.kernel = nn.Parameter(torch.empty(size, config.kernel_size))
        self.output = nn.Linear(size, size)
        self.dropout = nn.Dropout(config.dropout)
        left = config.kernel_size - 1 if config.mask == "causal" else config.kernel_size // 2
        self.margins = (left, config.kernel_size - 1 - left)

    def reset_parameters(self) -> None:
        # tp calls this method on each submodule that has it. The linear layers and the norm have their own.
        nn.init.normal_(self.kernel, std=self.std)
        with torch.no_grad():
            self.kernel[:, self.margins[0]] += 1  # the initial kernel is close to the identity

    def windows(self, values: Tensor, fill: float) -> Tensor:
        """(batch, length, ...) → (batch, length, ..., kernel_size): each position with its neighbours."""
        padding = (0, 0) * (values.dim() - 2)
        return F.pad(values, (*padding, *self.margins), value=fill).unfold(1, sum(self.margins) + 1, 1)

    def forward(self, states: Tensor, sequence: Sequence) -> Tensor:
        """(batch, length, hidden_size) → the same shape. Positions do not see padding or other documents."""
        values, gates = self.values_and_gates(self.norm(states)).chunk(2, dim=-1)
        if sequence.mask is not None:
            values = values * sequence.mask.unsqueeze(-1)
        neighbours = self.windows(values, 0.0)
        if sequence.document_ids is not None:
            same = self.windows(sequence.document_ids, -1) == sequence.document_ids.unsqueeze(-1)
            neighbours = neighbours * same.unsqueeze(2)
        mixed = (neighbours * self.kernel).sum(dim=-1)
        update: Tensor = self.dropout(self.output(mixed * gates.sigmoid()))
        return states + update


class Gates(Encoder):
    """A stack of gated convolutions."""

    def __init__(self, config: GatesConfig, context: BuildContext) -> None:
        super().__init__()
        self.widen = (
            nn.Linear(context.embedding_size, config.hidden_size)
            if context.embedding_size != config.hidden_size
            else nn.Identity()
        )
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.hidden_size)

    def forward(self, sequence: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        """States (batch, length, embedding_size) → (batch, length, hidden_size).

        Raises:
            NotImplementedError: a kv_cache is given.
        """
        if kv_cache is not None:
            raise NotImplementedError("acme.gates does not support a kv_cache for incremental decoding")
        states = self.widen(sequence.states)
        for layer in self.layers:
            states = layer(states, sequence)
        return sequence.with_states(self.norm(states))
