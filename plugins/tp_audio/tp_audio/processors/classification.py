"""Recordings with labels: classes, sets of classes, or numbers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

from tp_audio.processors.classification_options import LabelledSpeechConfig, LabelledWaveformConfig
from tp_audio.processors.recorded import RecordedRows
from tp_audio.processors.speech import SpeechProcessor
from tp_audio.processors.waveform import FinetuningProcessor
from tp_core.data.labels import RecordLabels
from tp_core.interfaces import Batch, Inputs, Processor, Record, Report, Sample
from tp_core.options.context import DataContext


class LabelledRecordings(Processor):
    """Reads ``audio`` and the labels."""

    record_labels: RecordLabels[Any]
    wanted: tuple[str, ...]
    rows: RecordedRows

    @abstractmethod
    def inputs(self, samples: list[Sample]) -> Inputs:
        """Tensors of the recordings."""

    def _labels(self, record: Record) -> dict[str, Any]:
        of_class = ". A recording's label is a column, or the name of a folder inside the given folder"
        return self.record_labels.read(record, hint=of_class if self.record_labels.kind == "cls" else "")

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        for chunk in self.rows.chunks(records, report, self._labels):
            labels = {name: [each.more[name] for each in chunk] for name in self.wanted}
            yield {"audio": [each.samples for each in chunk], **labels}

    def collate(self, samples: list[Sample]) -> Batch:
        return Batch.of(self.inputs(samples), len(samples), labels=self.record_labels.labels(samples))

    def describe(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return self.record_labels.named(predictions)


class LabelledSpeechProcessor(SpeechProcessor, LabelledRecordings):
    """Recordings as filter banks, with labels."""

    def __init__(self, config: LabelledSpeechConfig, data: DataContext) -> None:
        super().__init__(config)
        self.record_labels = config.record_labels(data)
        self.wanted = self.record_labels.columns
        self.rows = RecordedRows(config, config.window())


class LabelledWaveformProcessor(FinetuningProcessor, LabelledRecordings):
    """Recordings as raw waveforms, with labels."""

    def __init__(self, config: LabelledWaveformConfig, data: DataContext) -> None:
        super().__init__(config, data)
        self.record_labels = config.record_labels(data)
        self.wanted = self.record_labels.columns
        self.rows = RecordedRows(config, self.least)
