"""Options of skip-gram with negative sampling. Torch-free."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import Port
from tp_core.options.target import TargetConfig


class SkipGramConfig(TargetConfig):
    """Skip-gram with negative sampling: separate context words from random words (Mikolov et al., 2013)."""

    implementation: ClassVar[str] = "tp_text.targets.sgns:SkipGram"

    ngram_buckets: int = Field(0, ge=0, description="number of additional rows of the output table, for hashed n-grams")

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.labels("sgns"): FieldSpec(high=context.vocab_size + self.ngram_buckets)}

    def label_fields(self, context: BuildContext) -> dict[str, FieldSpec]:
        # The processor sets the real numbers. These are word2vec's defaults: a window of 5, 5 negatives.
        rows = context.vocab_size + self.ngram_buckets
        sizes = {"context": 10, "negatives": 5}
        return {name: FieldSpec(("batch", "length", size), high=rows) for name, size in sizes.items()}

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {"accuracy": MetricFacts("high")}
