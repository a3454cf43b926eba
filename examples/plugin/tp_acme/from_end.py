"""The embedding ``acme.from_end``."""

from __future__ import annotations

import torch
from torch import nn

from tp_acme.from_end_options import FromEndConfig
from tp_core import BuildContext, Embedding, Inputs, Sequence


class FromEnd(Embedding):
    """Adds a learned vector to each position, chosen by the number of real positions after it."""

    def __init__(self, config: FromEndConfig, context: BuildContext) -> None:
        super().__init__()
        self.std = config.init_std
        size = config.embedding_size or context.embedding_size
        self.table = nn.Parameter(torch.empty(config.max_length, size))

    def reset_parameters(self) -> None:
        nn.init.normal_(self.table, std=self.std)

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        """Add the vectors to the states; the shape (batch, length, embedding_size) stays the same."""
        assert sequence is not None  # makes_sequence is False, so the spec's checks refuse it as the first module
        following = sequence.real().flip(1).cumsum(1).flip(1) - 1
        return sequence.with_states(sequence.states + self.table[following.clamp(min=0)])
