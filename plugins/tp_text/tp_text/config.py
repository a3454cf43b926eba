"""Options of the text plugin's embeddings and targets. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.config import BuildContext, EmbeddingConfig, FieldSpec, Problem, TargetConfig, VectorFacts
from tp_core.metrics.facts import MetricFacts
from tp_core.modules.config import Activation

if TYPE_CHECKING:
    from tp_core.interfaces import Embedding, Target


class WordConfig(EmbeddingConfig):
    """Word embedding: one learned vector per token."""

    scale: bool = Field(False, description="multiply by sqrt(embedding_size) (Vaswani et al., 2017)")
    init_std: float = Field(0.02, gt=0)

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"input_ids": FieldSpec(high=context.vocab_size)}

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"weight:word": FieldSpec((context.vocab_size, context.embedding_size), "float32")}

    def build(self, context: BuildContext) -> "Embedding":
        from tp_text.embeddings.word import Word

        return Word(self, context)


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


class VocabularyTargetConfig(TargetConfig):
    """What targets that predict tokens share."""

    tie: bool = Field(True, description="use the word embedding as the output matrix")
    init_std: float = Field(0.02, gt=0)

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"weight:word": FieldSpec()} if self.tie else {}

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {"accuracy": MetricFacts("high")}


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

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {"accuracy": MetricFacts("high")}

    def embeds(self, context: BuildContext) -> Mapping[str, VectorFacts]:
        return {self.stream or next(iter(context.streams), ""): VectorFacts("first")}

    def build(self, context: BuildContext) -> "Target":
        from tp_text.targets.sp import SentencePrediction

        return SentencePrediction(self, context)


class LanguageModelConfig(VocabularyTargetConfig):
    """Causal language model: predict the next token (Radford et al., 2019)."""

    bias: bool = Field(False, description="bias of the output matrix")
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    z_loss: float = Field(0.0, ge=0, description="factor of the squared log normaliser (PaLM)")
    tied_scale: bool = Field(
        False, description="multiply the states by hidden_size**-0.5 before a tied output matrix (T5)"
    )

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return super().requires(context) | {
            "labels:lm": FieldSpec(high=context.vocab_size),
            "states:causal": FieldSpec(),
        }

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if self.tie and context.embedding_size != context.hidden_size:
            widths = f"{context.embedding_size}, the hidden states {context.hidden_size}"
            yield Problem("tie", f"tied weights need equal widths: the embedding's is {widths}; set tie: false")
        if self.tied_scale and not self.tie:
            yield Problem("tied_scale", "belongs to a tied output matrix, and tie is false")

    def build(self, context: BuildContext) -> "Target":
        from tp_text.targets.lm import LanguageModel

        return LanguageModel(self, context)
