"""Texts, or pairs of texts, with a label."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tp_core.data.fields import is_blank, text_field
from tp_core.errors import DataError
from tp_core.interfaces import Inputs, Record, Report, Rows, Sample, Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.labelled_options import LabelledTextConfig
from tp_text.processors.reading import CHUNK, text_of
from tp_text.processors.text import TextProcessor, fit


class LabelledTextProcessor(TextProcessor):
    """Reads the fields ``text_a`` (or ``text``) and, optionally, ``text_b``, and the labels of its options."""

    def __init__(self, config: LabelledTextConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        self.record_labels = config.record_labels(data)

    def read_labels(self, record: Record) -> dict[str, Any]:
        """Cell of each label column of a record.

        Raises:
            DataError: the record lacks a label, or a label is not valid.
        """
        return self.record_labels.read(record)

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        chunk: list[tuple[Record, dict[str, Any]]] = []
        for record in records:
            try:
                if is_blank(record):
                    continue
                if not text_of(record).strip():
                    raise DataError("the text is empty", file=record.file, line=record.line)
                text_field(record, "text_b")
                chunk.append((record, self.read_labels(record)))
            except DataError as error:
                report(error)
                continue
            if len(chunk) == CHUNK:
                yield self._columns(chunk)
                chunk = []
        yield self._columns(chunk)

    def _columns(self, chunk: list[tuple[Record, dict[str, Any]]]) -> dict[str, list[Any]]:
        first = self.tokenizer.encode_batch([text_of(r) for r, _ in chunk])
        second = self.tokenizer.encode_batch([text_field(r, "text_b") or "" for r, _ in chunk])
        columns: dict[str, list[Any]] = {"first": [], "second": []}
        columns |= {name: [labels[name] for _, labels in chunk] for name in self.record_labels.columns}
        for a, b in zip(first, second):
            a, cut = fit(a, b, self.max_length - self.special_count(bool(b)))
            columns["first"].append(a)
            columns["second"].append(cut or [])
        return columns

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        second = rows.get("second", index)
        sample = self.assemble(rows.get("first", index), second if len(second) else None)
        return sample | self.record_labels.of_row(rows, index)

    def labels(self, samples: list[Sample]) -> dict[str, Inputs]:
        return self.record_labels.labels(samples)

    def describe(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Replace numbers by the names of what they stand for, and token ids by tokens."""
        return self.record_labels.named(super().describe(predictions))
