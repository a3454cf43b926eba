"""Options of processors whose evaluations compare generated texts with references. Torch-free."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from pydantic import Field

from tp_core.metrics.facts import MetricFacts
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.processor import ProcessorConfig
from tp_text.scoring.texts import TEXT_METRICS

TextMetric = Literal["bleu", "chrf", "rouge1", "rouge2", "rougeL", "exact_match"]
TokenizeForm = Literal["13a", "intl", "zh", "char", "none"]


class TextMetricOptions(ProcessorConfig):
    """Mixin for the config of a processor of text pairs. It must be before the other base classes."""

    terms: ClassVar[Mapping[str, str]] = {
        "metrics": "metric eval_metrics metric_for_best_model predict_with_generate",
        "metric_tokenize": "bleu_tokenize sacrebleu_tokenize tokenize",
    }

    metrics: list[TextMetric] = Field(
        [],
        description="metrics of texts that the model generates in evaluations: bleu and chrf (sacrebleu), rouge1, "
        "rouge2 and rougeL (rouge-score), exact_match; none by default, since generation takes time",
    )
    metric_tokenize: TokenizeForm = Field(
        "13a",
        description="words of bleu, as in sacrebleu: 13a, intl, zh (Chinese characters are words), char, none; with zh "
        "and char, rouge also counts Chinese characters as words",
    )

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {**super().measures(context), **{name: TEXT_METRICS[name] for name in self.metrics}}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        twice = next((name for name in self.metrics if self.metrics.count(name) > 1), None)
        if twice is not None:
            yield Problem("metrics", f"{twice} is listed twice")
