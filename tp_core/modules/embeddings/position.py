"""Learned absolute positions."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tp_core.errors import TPError
from tp_core.interfaces import Embedding, Inputs, Sequence
from tp_core.modules.embeddings.position_options import LearnedPositionConfig
from tp_core.modules.layers import linear
from tp_core.options.context import BuildContext


class LearnedPosition(Embedding):
    """Adds a learned vector for each position."""

    def __init__(self, config: LearnedPositionConfig, context: BuildContext) -> None:
        super().__init__()
        self.offset = config.offset
        size = config.embedding_size or context.embedding_size
        self.table = linear.Embedding(config.max_length + config.offset, size, std=config.init_std)

    def weights_for(self, other: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The table of positions that begin at another row; rows before them are zero."""
        assert isinstance(other, LearnedPosition)
        rows = weights["table.weight"][self.offset :]
        return {"table.weight": torch.cat([rows.new_zeros(other.offset, rows.shape[1]), rows])}

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        assert sequence is not None  # the spec's checks reject a position embedding as the first module
        if sequence.positions is None:
            length, longest = sequence.states.shape[1], self.table.num_embeddings - self.offset
            if length > longest:
                raise TPError(f"sequences of {length} positions are longer than the {longest} positions of the model")
            added = self.table.weight[self.offset : self.offset + length]
        else:
            added = self.table(sequence.places() + self.offset)
        return sequence.with_states(sequence.states + added)
