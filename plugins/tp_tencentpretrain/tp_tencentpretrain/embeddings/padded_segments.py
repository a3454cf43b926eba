"""The original's segments, which have a vector for padding."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tp_core.interfaces import Embedding, Inputs, Sequence
from tp_core.modules.layers import linear
from tp_core.options.context import BuildContext
from tp_tencentpretrain.embeddings.options import PaddedSegmentsConfig
from tp_tencentpretrain.embeddings.segments import segments

#: Rows of the original's table: padding, the first text, the second text.
_ROWS = 3


class PaddedSegments(Embedding):
    """Adds the vector of each token's segment, or that of padding."""

    def __init__(self, config: PaddedSegmentsConfig, context: BuildContext) -> None:
        super().__init__()
        size = config.embedding_size or context.embedding_size
        self.unused = config.unused
        self.table = linear.Embedding(_ROWS, size, std=config.init_std)

    def weights_for(self, other: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The table of a module without a vector for padding."""
        return {"table.weight": weights["table.weight"][1:]}

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        """Add the vectors of ``token_type_ids`` (batch, length), values 0 and 1, or that of padding everywhere."""
        assert sequence is not None  # the spec's checks reject a segment embedding in first place
        if self.unused:
            return sequence.with_states(sequence.states + self.table.weight[0])
        ids = segments(inputs, sequence)
        if sequence.mask is not None:
            ids = torch.where(sequence.mask, ids, 0)
        return sequence.with_states(sequence.states + self.table(ids))
