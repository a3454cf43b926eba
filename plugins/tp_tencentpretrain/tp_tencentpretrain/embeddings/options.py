"""Options of the original's weights of segments. Torch-free."""

from collections.abc import Iterable
from typing import ClassVar

from pydantic import Field

from tp_core.options.base import Equivalent
from tp_core.options.context import BuildContext
from tp_core.options.embedding import EmbeddingConfig
from tp_core.options.facts import FieldSpec
from tp_core.options.marks import TrainingOnly
from tp_core.options.ports import TOKEN_TYPE_IDS, Port
from tp_text.embeddings.segment_options import SegmentConfig


class SegmentWeightsConfig(EmbeddingConfig):
    """Weights for the pooling ``mean``: 1 in the first text, 2 in the second, as in TencentPretrain.

    The original multiplies the states by the number of their segment. The module adds nothing to the states.
    """

    implementation: ClassVar[str] = "tp_tencentpretrain.embeddings.segment_weights:SegmentWeights"
    makes_sequence: ClassVar[bool] = False

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {TOKEN_TYPE_IDS: FieldSpec()}


class SegmentPrefixConfig(EmbeddingConfig):
    """The first of two texts is the prefix of the mask ``causal_with_prefix``, unless the data name a prefix.

    TencentPretrain has this for all data; it adds nothing to the states.
    """

    implementation: ClassVar[str] = "tp_tencentpretrain.embeddings.segment_prefix:SegmentPrefix"
    makes_sequence: ClassVar[bool] = False

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {TOKEN_TYPE_IDS: FieldSpec()}


class PaddedSegmentsConfig(EmbeddingConfig):
    """Segments of TencentPretrain: a vector for padding, and one for each of two texts."""

    implementation: ClassVar[str] = "tp_tencentpretrain.embeddings.padded_segments:PaddedSegments"
    makes_sequence: ClassVar[bool] = False

    unused: bool = Field(False, description="add the vector of padding at all positions, as in models of ChID")
    init_std: TrainingOnly[float] = Field(0.02, gt=0)

    def equivalents(self) -> Iterable[Equivalent]:
        """The same segments without a vector for padding, which no real position sees in attention."""
        if self.unused:
            return []
        return [Equivalent(SegmentConfig(embedding_size=self.embedding_size, init_std=self.init_std), "seg")]

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {} if self.unused else {TOKEN_TYPE_IDS: FieldSpec(high=2)}
