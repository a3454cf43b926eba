"""A processor for test projects that divides texts into windows of four words, and averages their probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tp_core import Joined, MetricFacts
from tp_core.interfaces import Processor, Record, Report, Rows, Sample, Tokenizer
from tp_core.options.context import BuildContext, DataContext
from tp_text.processors.classification import ClassificationProcessor
from tp_text.processors.classification_options import ClassificationProcessorConfig

LENGTH = 4


def order_of_rows(numbers: NDArray[Any], correct: NDArray[Any]) -> float:
    """A number that depends on the order of the records, and on which of them are correct."""
    assert numbers.shape == correct.shape
    return float((np.arange(1, len(numbers) + 1) * numbers * (1 + correct)).sum())


class Config(ClassificationProcessorConfig):
    """Texts in windows, with a class label."""

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        return {"record_accuracy": MetricFacts("high"), "order": MetricFacts(None, order_of_rows)}

    def build(self, data: DataContext, tokenizer: Tokenizer | None) -> Processor:
        assert tokenizer is not None
        return Windows(self, data, tokenizer)


class Windows(ClassificationProcessor):
    @property
    def read_ahead(self) -> int:
        return 8

    def _windows(self, record: Record) -> list[list[int]]:
        (ids,) = self.tokenizer.encode_batch([str(record.value["text"])])
        return [ids[start : start + LENGTH] for start in range(0, max(1, len(ids)), LENGTH)]

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        for number, record in enumerate(records):
            own, label = self._windows(record), self.read_labels(record)["label"]
            yield {"first": own, "record": [number] * len(own), "label": [label] * len(own)}

    def record_starts(self, rows: Rows) -> NDArray[np.int64]:
        numbers = rows.integers("record")
        return np.flatnonzero(np.append(True, numbers[1:] != numbers[:-1]))

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        sample = self.assemble(rows.get("first", index))
        return {**sample, "label": rows.get("label", index), "number": rows.get("record", index)}

    def divide(self, records: list[Record]) -> list[list[Sample]]:
        return [[self.assemble(ids) for ids in self._windows(record)] for record in records]

    def combine(self, samples: list[Sample], predictions: list[dict[str, Any]]) -> dict[str, Any]:
        assert len(samples) == len(predictions)
        mean = np.mean([each["probabilities"] for each in predictions], axis=0)
        return {"label": int(mean.argmax()), "probabilities": mean.tolist(), "windows": len(samples)}

    def carried(self, sample: Sample) -> Sample:
        return {name: sample[name] for name in ("label", "number")}

    def score(self, predictions: list[dict[str, Any]], samples: list[list[Sample]]) -> dict[str, Any]:
        assert all(len({sample["number"] for sample in own}) == 1 for own in samples)
        right = [each["label"] == own[0]["label"] for each, own in zip(predictions, samples, strict=True)]
        numbers = np.array([own[0]["number"] for own in samples])
        return {"record_accuracy": (sum(right), len(right)), "order": Joined((numbers, np.array(right)))}
