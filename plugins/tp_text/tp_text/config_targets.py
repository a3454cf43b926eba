"""Options of the targets of ELMo and word2vec. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from tp_core.config import BuildContext, FieldSpec, Problem, TargetConfig
from tp_core.metrics.facts import MetricFacts
from tp_text.config import VocabularyTargetConfig

if TYPE_CHECKING:
    from tp_core.interfaces import Target


class BidirectionalLanguageModelConfig(VocabularyTargetConfig):
    """Bidirectional language model: predict the next and the previous token (ELMo; Peters et al., 2018)."""

    tie: bool = Field(False, description="use the word embedding, as wide as one direction, as the output matrix")
    bias: bool = Field(True, description="bias of the output matrix")

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        labels = {"labels:bilm": FieldSpec(high=context.vocab_size)}
        return super().requires(context) | labels | {"states:two_directions": FieldSpec()}

    def label_fields(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {f"bilm:{direction}": FieldSpec(high=context.vocab_size) for direction in ("forward", "backward")}

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return dict.fromkeys(["accuracy", "accuracy_forward", "accuracy_backward"], MetricFacts("high"))

    def check(self, context: BuildContext) -> Iterator[Problem]:
        half = context.hidden_size // 2
        if context.hidden_size % 2:
            yield Problem("", f"the states hold two directions of one width, and hidden_size is {context.hidden_size}")
        elif self.tie and context.embedding_size != half:
            widths = f"{context.embedding_size}, one direction's {half}"
            yield Problem("tie", f"tied weights need equal widths: the embedding's is {widths}; set tie: false")

    def build(self, context: BuildContext) -> "Target":
        from tp_text.targets.bilm import BidirectionalLanguageModel

        return BidirectionalLanguageModel(self, context)


class SkipGramConfig(TargetConfig):
    """Skip-gram with negative sampling: tell the words around a word from random ones (Mikolov et al., 2013)."""

    ngram_buckets: int = Field(0, ge=0, description="rows of the output table after the vocabulary, for hashed n-grams")

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"labels:sgns": FieldSpec(high=context.vocab_size + self.ngram_buckets)}

    def label_fields(self, context: BuildContext) -> dict[str, FieldSpec]:
        # The processor decides how many; these are word2vec's own numbers: a window of 5, 5 negatives.
        rows = context.vocab_size + self.ngram_buckets
        sizes = {"context": 10, "negatives": 5}
        return {f"sgns:{name}": FieldSpec(("batch", "length", size), high=rows) for name, size in sizes.items()}

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {"accuracy": MetricFacts("high")}

    def build(self, context: BuildContext) -> "Target":
        from tp_text.targets.sgns import SkipGram

        return SkipGram(self, context)
