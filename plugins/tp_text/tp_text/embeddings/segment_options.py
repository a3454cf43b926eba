"""Options of the segment embedding. Torch-free."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from tp_core.options.context import BuildContext
from tp_core.options.embedding import EmbeddingConfig
from tp_core.options.facts import FieldSpec
from tp_core.options.marks import ModelSize, TrainingOnly
from tp_core.options.ports import TOKEN_TYPE_IDS, Port


class SegmentConfig(EmbeddingConfig):
    """Segment embedding: one learned vector per segment, such as each text of a pair (Devlin et al., 2019)."""

    terms: ClassVar[Mapping[str, str]] = {
        "num_segments": "type_vocab_size token_type_vocab_size n_segments",
    }

    implementation: ClassVar[str] = "tp_text.embeddings.segment:Segment"
    makes_sequence: ClassVar[bool] = False

    num_segments: ModelSize[int] = Field(2, gt=0)
    init_std: TrainingOnly[float] = Field(0.02, gt=0)

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {TOKEN_TYPE_IDS: FieldSpec(high=self.num_segments, option="num_segments")}
