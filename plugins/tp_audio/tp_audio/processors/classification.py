"""Recordings with a class label each, for the target ``cls``."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

from tp_audio.processors.classification_options import (
    SpeechClassificationProcessorConfig,
    WaveformClassificationProcessorConfig,
)
from tp_audio.processors.recorded import RecordedRows
from tp_audio.processors.speech import SpeechProcessor
from tp_audio.processors.waveform import FinetuningProcessor
from tp_core.data.classes.labels import RecordClasses
from tp_core.interfaces import Batch, Inputs, Processor, Record, Report, Sample
from tp_core.options.context import DataContext


class LabelledRecordings(Processor):
    """Reads ``audio`` and ``label``."""

    classes: RecordClasses
    wanted: tuple[str, ...]
    rows: RecordedRows

    @abstractmethod
    def inputs(self, samples: list[Sample]) -> Inputs:
        """Tensors of the recordings."""

    def _labels(self, record: Record) -> dict[str, Any]:
        return self.classes.read(
            record, hint=". A recording's label is a column, or the name of a folder inside the given folder"
        )

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        for chunk in self.rows.chunks(records, report, self._labels):
            labels = {name: [each.more[name] for each in chunk] for name in self.wanted}
            yield {"audio": [each.samples for each in chunk], **labels}

    def collate(self, samples: list[Sample]) -> Batch:
        return Batch.of(self.inputs(samples), len(samples), labels=self.classes.labels(samples))

    def describe(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return self.classes.named(predictions)


class SpeechClassificationProcessor(SpeechProcessor, LabelledRecordings):
    """Recordings as filter banks, with class labels."""

    def __init__(self, config: SpeechClassificationProcessorConfig, data: DataContext) -> None:
        super().__init__(config)
        self.classes = RecordClasses(config, data, "data.processor.speech_cls.labels")
        self.wanted = self.classes.columns
        self.rows = RecordedRows(config, config.window())


class WaveformClassificationProcessor(FinetuningProcessor, LabelledRecordings):
    """Recordings as raw waveforms, with class labels."""

    def __init__(self, config: WaveformClassificationProcessorConfig, data: DataContext) -> None:
        super().__init__(config, data)
        self.classes = RecordClasses(config, data, "data.processor.waveform_cls.labels")
        self.wanted = self.classes.columns
        self.rows = RecordedRows(config, self.least)
