"""Options of ranking. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.metrics.ranking import RANKING_NAMES, questions, questions_without_answer, ranking_metric
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.suggest import did_you_mean
from tp_text.processors.classification_options import ClassificationProcessorConfig


class RankingProcessorConfig(ClassificationProcessorConfig):
    """A question and a candidate answer with their relevance, ranked among the candidates of the question (DBQA)."""

    implementation: ClassVar[str] = "tp_text.processors.ranking:RankingProcessor"
    optional_fields: ClassVar[frozenset[str]] = frozenset({"label", "qid"})

    metrics: list[str] = Field(
        ["mrr", "map", "precision_at_1"],
        min_length=1,
        description="metrics over the questions: mrr; map; ndcg; or, with a number K of ranks, mrr_at_K, "
        "precision_at_K, recall_at_K, ndcg_at_K",
    )

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        found = {name: facts for name in self.metrics if (facts := ranking_metric(name)) is not None}
        counts = {"questions": questions, "questions_without_answer": questions_without_answer}
        return found | {name: MetricFacts(None, compute) for name, compute in counts.items()}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        for name in dict.fromkeys(self.metrics):
            if ranking_metric(name) is None:
                near = did_you_mean(name, RANKING_NAMES)
                known = f"the metrics are {', '.join(RANKING_NAMES)}, with a number for K"
                yield Problem("metrics", f"unknown metric '{name}'; {near or known}")
            if self.metrics.count(name) > 1:
                yield Problem("metrics", f"{name} is listed twice")
        if context.labels:
            yield Problem("", "ranks by one label, the field label; leave out data.labels")
        yield from super().check(context)
