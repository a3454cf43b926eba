"""The prefix that the original sees in the first of two texts."""

from __future__ import annotations

from dataclasses import replace

from tp_core.interfaces import Embedding, Inputs, Sequence
from tp_core.options.context import BuildContext
from tp_tencentpretrain.embeddings.options import SegmentPrefixConfig
from tp_tencentpretrain.embeddings.segments import segments


class SegmentPrefix(Embedding):
    """Sets the length of the prefix: that of the first text with its special tokens."""

    def __init__(self, config: SegmentPrefixConfig, context: BuildContext) -> None:
        super().__init__()

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        """Set the lengths from ``token_type_ids`` (batch, length), 0 for the first text; padding is on the right."""
        assert sequence is not None  # the spec's checks reject the module in first place
        if sequence.prefix_lengths is not None:
            return sequence
        first = segments(inputs, sequence) == 1
        if sequence.mask is not None:
            first = first & sequence.mask
        return replace(sequence, prefix_lengths=first.sum(dim=1))
