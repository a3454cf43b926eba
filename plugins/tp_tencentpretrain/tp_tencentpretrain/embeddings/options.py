"""Options of the original's weights of segments. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_core.options.context import BuildContext
from tp_core.options.embedding import EmbeddingConfig
from tp_core.options.facts import FieldSpec
from tp_core.options.marks import TrainingOnly
from tp_core.options.ports import TOKEN_TYPE_IDS, Port


class SegmentWeightsConfig(EmbeddingConfig):
    """Weights for the pooling ``mean``: 1 in the first text, 2 in the second, as in TencentPretrain.

    The original multiplies the states by the number of their segment. The module adds nothing to the states.
    """

    implementation: ClassVar[str] = "tp_tencentpretrain.embeddings.segment_weights:SegmentWeights"
    makes_sequence: ClassVar[bool] = False

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {TOKEN_TYPE_IDS: FieldSpec()}


class UnusedSegmentsConfig(EmbeddingConfig):
    """A segment embedding of TencentPretrain whose first row, that of padding, is added at all positions (ChID)."""

    implementation: ClassVar[str] = "tp_tencentpretrain.embeddings.unused_segments:UnusedSegments"
    makes_sequence: ClassVar[bool] = False

    init_std: TrainingOnly[float] = Field(0.02, gt=0)
