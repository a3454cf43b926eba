"""Pairs of texts for two streams, and triplets for three."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch

from tp_core.data.fields import is_blank, missing_field, text_field
from tp_core.data.padding import Ids, token_inputs
from tp_core.data.sampling.items import item_id
from tp_core.data.similarity_labels import SimilarityLabels
from tp_core.errors import DataError, TPError
from tp_core.interfaces import Batch, Inputs, Record, Report, Rows, Sample, Sides, Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.classification import ClassificationProcessor
from tp_text.processors.pair_options import PairProcessorConfig
from tp_text.processors.reading import CHUNK, text_of
from tp_text.processors.records import in_columns
from tp_text.processors.text_sides import TextSides

#: The texts of a sample, in the order of the streams.
SIDES = ("first", "second", "negative")


class _Row(NamedTuple):
    """The texts of a row, one per stream, and the columns of its labels."""

    texts: tuple[str, ...]
    labels: dict[str, Any]


class PairProcessor(ClassificationProcessor):
    """Feeds one text of a pair, or of a triplet, to each stream, as ``[CLS] text [SEP]``.

    Special tokens that the vocabulary lacks are left out. Values of ``pairing``: ``fields``: ``text_a`` and ``text_b``
    of a record. ``next``: a line and the next line of its document (Quick-Thoughts; Logeswaran & Lee, 2018).
    ``same``: the same line twice, which dropout makes different (SimCSE; Gao et al., 2021).

    A third stream gets the field ``negative``: a text that does not belong to ``text_a`` although it resembles
    ``text_b``. A list of texts gives a triplet for each of them.

    Labels ``clr``: ``labels`` (batch,), 1 for each sample; ``items`` (batch, streams), identities of the texts after
    tokenization and cutting. Labels ``cls``, with ``labelled: class``: the same as those of the processor ``cls``.
    Labels ``similarity``, with ``labelled: similarity``: ``labels`` (batch,), float32.
    """

    def __init__(self, config: PairProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        if len(data.streams) not in (2, 3):
            have = ", ".join(data.streams) or "none"
            raise TPError(f"data.processor.pair: needs a model of two or three streams (model.streams), not {have}")
        self.streams = data.streams
        self.sides = SIDES[: len(data.streams)]
        self.pairing, self.labelled = config.pairing, config.labelled
        self.similarities = SimilarityLabels(config.label_range, data)
        self.room = self.max_length - self.special_count(pair=False)

    # -- rows --------------------------------------------------------------------------------------------------

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        if self.pairing == "fields":
            return self._of_fields(records, report)
        return in_columns(self._of_lines(records, report))

    def _of_fields(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        rows = self._rows(records, report)
        while chunk := list(islice(rows, CHUNK)):
            columns: dict[str, list[Any]] = {
                side: self._cut([row.texts[number] for row in chunk]) for number, side in enumerate(self.sides)
            }
            yield columns | {name: [row.labels[name] for row in chunk] for name in chunk[0].labels}

    def _cut(self, texts: list[str]) -> list[list[int]]:
        return [ids[: self.room] for ids in self.tokenizer.encode_batch(texts)]

    def _rows(self, records: Iterable[Record], report: Report) -> Iterator[_Row]:
        for record in records:
            try:
                pair = _pair_of(record)
                if pair is None:
                    continue
                labels = self._labels_of(record)
                texts = [pair] if len(self.sides) == 2 else [(*pair, text) for text in _negatives_of(record)]
            except DataError as error:
                report(error)
                continue
            for each in texts:
                yield _Row(each, labels)

    def _labels_of(self, record: Record) -> dict[str, Any]:
        """The columns of a record's labels."""
        if self.labelled == "similarity":
            return {"label": self.similarities.read(record)}
        return dict(self.read_labels(record)) if self.labelled == "class" else {}

    def _of_lines(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, Any]]:
        file, before = "", None
        for texts in self.tokenized(records, report):
            if texts.file != file:
                file, before = texts.file, None
            start = 0
            for end in texts.ends:
                ids: Ids | None = texts.ids[start : min(end, start + self.room)] if end > start else None
                start = end
                if self.pairing == "same" and ids is not None:
                    yield {"first": ids}
                elif self.pairing == "next" and ids is not None and before is not None:
                    yield {"first": before, "second": ids}
                before = ids

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        columns = ("first", "first") if self.pairing == "same" else self.sides
        sample = {
            side: self.assemble(rows.get(column, index))["input_ids"] for side, column in zip(self.sides, columns)
        }
        if self.labelled == "class":
            sample |= self.classes.of_row(rows, index)
        elif self.labelled == "similarity":
            sample["label"] = rows.get("label", index)
        return sample

    # -- batches -----------------------------------------------------------------------------------------------

    def collate(self, samples: list[Sample]) -> Batch:
        """One :data:`Inputs` per stream; only the streams for which the samples have a text."""
        source: dict[str, Any] = {}
        for stream, side in zip(self.streams, self.sides):
            if side in samples[0]:
                rows: list[Ids] = [s[side] for s in samples]
                source[stream] = token_inputs(rows, self.max_length, self.pad, self.pad_to == "max_length")
                source[stream]["token_type_ids"] = torch.zeros_like(source[stream]["input_ids"])
        return Batch(source, len(samples), labels=self.labels(samples))

    def labels(self, samples: list[Sample]) -> dict[str, Inputs]:
        counted: dict[str, Inputs] = {"clr": {"labels": torch.ones(len(samples), dtype=torch.int64)}}
        if set(self.sides) <= samples[0].keys():
            items = [[item_id(sample[side]) for side in self.sides] for sample in samples]
            counted["clr"]["items"] = torch.tensor(items)
        if self.labelled == "similarity":
            return counted | self.similarities.labels(samples)
        return counted | super().labels(samples) if self.labelled == "class" else counted

    def describe(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Replace class numbers by class names, and add similarities in the units of the data."""
        return self.similarities.described(super().describe(predictions))

    # -- inference ---------------------------------------------------------------------------------------------

    def encode(self, records: list[Record]) -> list[Sample]:
        """Pairs of ``text_a`` and ``text_b``, with or without ``negative``; or one text, for the stream of its side.

        Raises:
            DataError: only some of the records have the text of a side, or a record has no text.
        """
        found: dict[str, list[list[int]]] = {}
        fields = (("text_a", "text"), ("text_b",), ("negative",))
        for side, names in zip(self.sides, fields):
            texts = [text_field(record, *names) for record in records]
            if all(text is None for text in texts):
                continue
            for record, text in zip(records, texts):
                if text is None:
                    raise missing_field(record, f"{' or '.join(map(repr, names))}, which other records have")
            found[side] = self._cut([text or "" for text in texts])
        if not found:
            raise missing_field(records[0], "'text_a', 'text' or 'text_b'")
        rows = zip(*found.values())
        made = [[self._nonempty(self.assemble(ids)["input_ids"]) for ids in row] for row in rows]
        return [dict(zip(found, row)) for row in made]

    def search_sides(self) -> Sides:
        return TextSides((self.streams[0], self.streams[1]), ("text_a", "text_b"))

    def _nonempty(self, ids: Ids) -> Ids:
        return ids if len(ids) else np.array([self.pad], dtype=np.int32)


def _pair_of(record: Record) -> tuple[str, str] | None:
    """The two texts of a record; None for a blank line of plain text.

    Raises:
        DataError: a text is missing or empty.
    """
    first, second = text_of(record), text_field(record, "text_b")
    if second is None:
        if is_blank(record):
            return None
        raise missing_field(record, "'text_b'")
    for name, text in (("text_a", first), ("text_b", second)):
        if not text.strip():
            raise DataError(f"'{name}' is empty", file=record.file, line=record.line)
    return first, second


def _negatives_of(record: Record) -> list[str]:
    """The texts of the field ``negative``, which has one text or a list of them.

    Raises:
        DataError: there is none, or a text is empty.
    """
    value = record.value.get("negative")
    each = value if isinstance(value, (list, tuple)) else [value]
    texts = [text_field(Record({"negative": text}, record.file, record.line), "negative") for text in each]
    if value is None:
        raise missing_field(record, "'negative'")
    if not texts or not all(text is not None and text.strip() for text in texts):
        raise DataError("'negative' is empty", file=record.file, line=record.line)
    return [text for text in texts if text is not None]
