"""Options of the regression of similarities. Torch-free."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, Literal

from pydantic import Field

from tp_core.metrics.correlation import PEARSON, SPEARMAN
from tp_core.metrics.facts import MetricFacts
from tp_core.modules.targets.streams import check_streams, different_widths
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.facts import Comparison, FieldSpec, Pooling, SimilarityFacts, VectorFacts
from tp_core.options.ports import Port
from tp_core.options.target import TargetConfig

Similarity = Literal["cosine", "exp_l1", "dot"]

_FACTS: dict[Similarity, SimilarityFacts] = {
    "cosine": SimilarityFacts(-1.0, 1.0, "the cosine"),
    "exp_l1": SimilarityFacts(0.0, 1.0, "exp_l1"),
    "dot": SimilarityFacts(-math.inf, math.inf, "the dot product"),
}
#: The comparison that ranks vectors alike.
_COMPARED: dict[Similarity, Comparison] = {"cosine": "cosine", "exp_l1": "manhattan", "dot": "dot"}


class SimilarityConfig(TargetConfig):
    """Regression of the similarity of two streams' vectors, with labels that are numbers (SBERT; siamese LSTM)."""

    implementation: ClassVar[str] = "tp_core.modules.targets.similarity:SimilarityRegression"
    reads_streams: ClassVar[bool] = True

    by: Similarity = Field(
        "cosine",
        description="similarity of the vectors u and v: cosine (Reimers & Gurevych, 2019); exp_l1, which is the "
        "exponential of minus the sum of |u - v| (Mueller & Thyagarajan, 2016); dot product",
    )
    pooling: Pooling | None = Field(None, description="first, last, mean or max; default: the pooling of the streams")

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.labels("similarity"): FieldSpec(("batch",), "float32")}

    def pools(self, context: BuildContext) -> dict[str, Pooling]:
        return {name: self.pooling or facts.pooling for name, facts in context.streams.items()}

    def embeds(self, context: BuildContext) -> Mapping[str, VectorFacts]:
        return {
            name: VectorFacts(how, normalize=self.by == "cosine", compared=_COMPARED[self.by])
            for name, how in self.pools(context).items()
        }

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {"pearson": PEARSON, "spearman": SPEARMAN}

    def published_facts(self) -> Iterable[SimilarityFacts]:
        yield _FACTS[self.by]

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from check_streams(self, context)
        if widths := different_widths(context):
            yield Problem("", f"compares vectors of equal width, but {widths}")
