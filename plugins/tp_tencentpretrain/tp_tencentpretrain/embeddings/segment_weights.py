"""The weights that the original gives to segments when it pools."""

from __future__ import annotations

from dataclasses import replace

from tp_core.interfaces import Embedding, Inputs, Sequence
from tp_core.options.context import BuildContext
from tp_tencentpretrain.embeddings.options import SegmentWeightsConfig
from tp_tencentpretrain.embeddings.segments import segments


class SegmentWeights(Embedding):
    """Sets the weights of positions in the pooling ``mean`` to the original's numbers of segments, 1 and 2."""

    def __init__(self, config: SegmentWeightsConfig, context: BuildContext) -> None:
        super().__init__()

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        """Set the weights from ``token_type_ids`` (batch, length), which begin with 0 here."""
        assert sequence is not None  # the spec's checks reject the module in first place
        return replace(sequence, mean_weights=segments(inputs, sequence))
