"""Segments of the original's ChID models."""

from __future__ import annotations

from tp_core.interfaces import Embedding, Inputs, Sequence
from tp_core.modules.layers import linear
from tp_core.options.context import BuildContext
from tp_tencentpretrain.embeddings.options import UnusedSegmentsConfig

#: Rows of the original's table: padding, the first text, the second text.
_ROWS = 3


class UnusedSegments(Embedding):
    """Adds the first row of the original's table of segments. The other rows are kept for the way back."""

    def __init__(self, config: UnusedSegmentsConfig, context: BuildContext) -> None:
        super().__init__()
        size = config.embedding_size or context.embedding_size
        self.table = linear.Embedding(_ROWS, size, std=config.init_std)

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        """Add the same vector at all positions."""
        assert sequence is not None  # the spec's checks reject the module in first place
        return sequence.with_states(sequence.states + self.table.weight[0])
