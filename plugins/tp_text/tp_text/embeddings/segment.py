"""The segment embedding."""

from __future__ import annotations

from tp_core.interfaces import Embedding, Inputs, Sequence
from tp_core.modules.layers import linear
from tp_core.options.context import BuildContext
from tp_text.embeddings.segment_options import SegmentConfig


class Segment(Embedding):
    """Adds the learned vector of each token's segment."""

    def __init__(self, config: SegmentConfig, context: BuildContext) -> None:
        super().__init__()
        size = config.embedding_size or context.embedding_size
        self.table = linear.Embedding(config.num_segments, size, std=config.init_std)

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        """Add the vectors of ``token_type_ids`` (batch, length), values in [0, num_segments).

        A previous embedding may publish its own ``token_type_ids``, which then replace those of the inputs. It does so
        if the sequence holds more than the words, for example words and image patches.
        """
        assert sequence is not None  # the spec's checks reject a segment embedding in first place
        ids = sequence.published.get("token_type_ids")
        return sequence.with_states(sequence.states + self.table(inputs["token_type_ids"] if ids is None else ids))
