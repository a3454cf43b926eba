"""Options of the text plugin's embeddings and targets. Torch-free."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.config import BuildContext, EmbeddingConfig, FieldSpec, TargetConfig
from tp_core.modules.config import Activation
from tp_core.modules.config_tokens import LanguageModelConfig, VocabularyTargetConfig, WordConfig

if TYPE_CHECKING:
    from tp_core.interfaces import Embedding, Target

__all__ = [
    "LanguageModelConfig",
    "MaskedLanguageModelConfig",
    "SegmentConfig",
    "SentencePredictionConfig",
    "VocabularyTargetConfig",
    "WordConfig",
]


class SegmentConfig(EmbeddingConfig):
    """Segment embedding: which part of a pair a token belongs to (Devlin et al., 2019)."""

    makes_sequence: ClassVar[bool] = False

    num_segments: int = Field(2, gt=0)
    init_std: float = Field(0.02, gt=0)

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"token_type_ids": FieldSpec(high=self.num_segments)}

    def build(self, context: BuildContext) -> "Embedding":
        from tp_text.embeddings.segment import Segment

        return Segment(self, context)


class MaskedLanguageModelConfig(VocabularyTargetConfig):
    """Masked language model: predict the masked tokens (Devlin et al., 2019)."""

    activation: Activation = "gelu"
    norm_eps: float = Field(1e-12, gt=0)
    bias: bool = Field(True, description="bias of the output matrix")

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return super().requires(context) | {"labels:mlm": FieldSpec(high=context.vocab_size, fraction=0.15)}

    def build(self, context: BuildContext) -> "Target":
        from tp_text.targets.mlm import MaskedLanguageModel

        return MaskedLanguageModel(self, context)


class SentencePredictionConfig(TargetConfig):
    """Sentence prediction from the first token: next sentence (BERT) or sentence order (ALBERT)."""

    dropout: float = Field(0.0, ge=0, lt=1)
    init_std: float = Field(0.02, gt=0)

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"labels:sp": FieldSpec(("batch",), high=2)}

    def build(self, context: BuildContext) -> "Target":
        from tp_text.targets.sp import SentencePrediction

        return SentencePrediction(self, context)
