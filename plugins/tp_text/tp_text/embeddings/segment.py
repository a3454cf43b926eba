"""The segment embedding."""

from __future__ import annotations

from tp_core.interfaces import Embedding, Inputs, Sequence
from tp_core.modules.layers import linear
from tp_core.options.context import BuildContext
from tp_text.embeddings.segment_options import SegmentConfig


class Segment(Embedding):
    """Adds a vector for the segment of each token."""

    def __init__(self, config: SegmentConfig, context: BuildContext) -> None:
        super().__init__()
        size = config.embedding_size or context.embedding_size
        self.table = linear.Embedding(config.num_segments, size, std=config.init_std)

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        """``token_type_ids`` (batch, length), values in [0, num_segments).

        An embedding before this one may publish others by the same name: where the words are a part of the sequence
        only, they tell its parts apart.
        """
        assert sequence is not None  # the spec's checks let no segment stand first
        ids = sequence.published.get("token_type_ids")
        return sequence.with_states(sequence.states + self.table(inputs["token_type_ids"] if ids is None else ids))
