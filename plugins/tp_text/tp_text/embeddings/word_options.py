"""Options of the word embedding. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_core.options.context import BuildContext
from tp_core.options.embedding import EmbeddingConfig
from tp_core.options.facts import FieldSpec
from tp_core.options.marks import TrainingOnly
from tp_core.options.ports import INPUT_IDS, WORD, Port


class WordConfig(EmbeddingConfig):
    """Word embedding: one learned vector per token."""

    implementation: ClassVar[str] = "tp_text.embeddings.word:Word"

    scale: bool = Field(False, description="multiply by sqrt(embedding_size) (Vaswani et al., 2017)")
    init_std: TrainingOnly[float] = Field(0.02, gt=0)

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {INPUT_IDS: FieldSpec(high=context.vocab_size)}

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {WORD: FieldSpec((context.vocab_size, context.embedding_size), "float32")}
