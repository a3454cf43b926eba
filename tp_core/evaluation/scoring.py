"""Metrics of a processor: the predictions of each record's samples are combined, and compared with the labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tp_core.data.sampling.portions import EvaluationBatch
from tp_core.interfaces import MetricState, Processor, Sample


class Scorer:
    """Collects the predictions of batches until their records are complete.

    A record's samples may be in several batches, all of the same process, one after the other.
    """

    def __init__(self, processor: Processor) -> None:
        self.processor = processor
        self._record: int | None = None
        self._samples: list[Sample] = []
        self._predictions: list[dict[str, Any]] = []

    def add(self, batch: EvaluationBatch, predictions: list[dict[str, Any]]) -> Mapping[str, MetricState]:
        """The metrics of the records that are complete with a batch; empty if there are none.

        Args:
            predictions: the result of ``Model.predict``, one per sample of the batch.
        """
        described = self.processor.describe(predictions)
        found: list[tuple[list[Sample], dict[str, Any]]] = []
        for record, sample, prediction in zip(batch.portion.records, batch.samples, described, strict=True):
            if self._record not in (None, record):
                found.append(self._complete())
            self._record = record
            self._samples.append(sample)
            self._predictions.append(prediction)
        if batch.portion.complete:
            found.append(self._complete())
        if not found:
            return {}
        return self.processor.score([prediction for _, prediction in found], [samples for samples, _ in found])

    def _complete(self) -> tuple[list[Sample], dict[str, Any]]:
        samples, predictions = self._samples, self._predictions
        self._record, self._samples, self._predictions = None, [], []
        return samples, self.processor.combine(samples, predictions)
