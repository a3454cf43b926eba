"""The part of a processor of text pairs that compares generated texts with references."""

from __future__ import annotations

from typing import Any

from tp_core.interfaces import Processor, Rows, Sample
from tp_text.scoring.texts import TextScores
from tp_text.scoring.texts_options import TextMetricOptions

#: Column of rows and entry of evaluation samples: the reference in UTF-8.
REFERENCE = "reference"


class ComparesTexts(Processor):
    """Mixin for processors whose config has :class:`TextMetricOptions`. It must be before the other base classes.

    Rows have the column :data:`REFERENCE` if the spec asks for metrics.
    """

    text_metrics: TextMetricOptions
    _scores: TextScores | None = None

    @property
    def has_metrics(self) -> bool:
        return bool(self.text_metrics.metrics)

    @property
    def writes(self) -> bool:
        return bool(self.text_metrics.metrics)

    def reference(self, rows: Rows, index: int) -> Sample:
        """The entry of an evaluation sample with the reference; empty without metrics."""
        return {REFERENCE: rows.get(REFERENCE, index)} if self.text_metrics.metrics else {}

    def carried(self, sample: Sample) -> Sample:
        return {REFERENCE: sample[REFERENCE]}

    def score(self, predictions: list[dict[str, Any]], samples: list[list[Sample]]) -> dict[str, tuple[Any, ...]]:
        if self._scores is None:
            self._scores = TextScores(self.text_metrics.metrics, self.text_metrics.metric_tokenize)
        return self._scores(
            [each["text"] for each in predictions], [bytes(sample[REFERENCE]).decode() for (sample,) in samples]
        )
