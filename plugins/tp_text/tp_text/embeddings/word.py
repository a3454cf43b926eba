"""The word embedding."""

from __future__ import annotations

import math
from typing import cast

from torch import nn

from tp_core.interfaces import Embedding, Inputs, Sequence
from tp_core.modules.layers import linear
from tp_core.options.context import BuildContext
from tp_text.embeddings.word_options import WordConfig


class Word(Embedding):
    """Looks up one vector per token id and copies mask, positions and packing from the inputs to the sequence."""

    def __init__(self, config: WordConfig, context: BuildContext) -> None:
        super().__init__()
        size = config.embedding_size or context.embedding_size
        self.scale = math.sqrt(size) if config.scale else None
        self.table = linear.Embedding(context.vocab_size, size, std=config.init_std)

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        """``input_ids`` (batch, length) → states (batch, length, embedding_size)."""
        states = self.table(inputs["input_ids"])
        if self.scale is not None:
            states = states * self.scale
        if sequence is not None:
            return sequence.with_states(sequence.states + states)
        return Sequence.of(states, inputs)

    def shared_weights(self) -> dict[str, nn.Parameter]:
        return {"word": cast(nn.Parameter, self.table.weight)}
