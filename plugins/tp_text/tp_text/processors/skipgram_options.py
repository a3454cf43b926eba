"""Options of skip-gram samples. Torch-free."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext, DataContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import ATTENTION_MASK, INPUT_IDS, Port
from tp_text.processors.text_options import TextProcessorConfig
from tp_text.targets.sgns_options import SkipGramConfig


class SkipGramProcessorConfig(TextProcessorConfig):
    """Words with the words in their windows and random words (word2vec), optionally hashed bigrams (Ngram2vec)."""

    implementation: ClassVar[str] = "tp_text.processors.skipgram:SkipGramProcessor"
    needs_special: ClassVar[tuple[str, ...]] = ("pad",)
    sampling_options: ClassVar[frozenset[str]] = frozenset(
        {"pad", "window", "negatives", "subsample", "ngrams", "ngram_buckets"}
    )

    max_length: int = Field(512, gt=3, description="words per row")
    window: int = Field(
        5, gt=0, description="maximum distance of a context; each word draws a distance between 1 and this"
    )
    negatives: int = Field(
        5, gt=0, description="number of random words per position, drawn in proportion to count^0.75"
    )
    subsample: float = Field(
        1e-3, ge=0, description="words with a higher relative frequency are dropped at random; 0: drop none"
    )
    ngrams: int = Field(1, ge=1, le=2, description="2: bigrams in a window are also contexts")
    ngram_buckets: int = Field(
        100_000, gt=0, description="number of hashed bigram ids; at most model.target.sgns.ngram_buckets"
    )

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {name: FieldSpec() for name in (INPUT_IDS, ATTENTION_MASK, Port.labels("sgns"))}

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        target = data.fact(SkipGramConfig)
        if self.ngrams > 1 and target is not None and target.ngram_buckets < self.ngram_buckets:
            rows = f"is {self.ngram_buckets}, but model.target.sgns.ngram_buckets is {target.ngram_buckets}"
            yield Problem("ngram_buckets", rows)
