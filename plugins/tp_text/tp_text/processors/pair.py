"""Pairs of texts for two streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch

from tp_core.data.fields import is_blank, missing_field, text_field
from tp_core.data.padding import Ids, token_inputs
from tp_core.data.sampling.items import item_id
from tp_core.errors import DataError, TPError
from tp_core.interfaces import Batch, Inputs, Record, Report, Rows, Sample, Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.classification import ClassificationProcessor
from tp_text.processors.pair_options import PairProcessorConfig
from tp_text.processors.reading import CHUNK, text_of
from tp_text.processors.records import in_columns


class PairProcessor(ClassificationProcessor):
    """Feeds one text of a pair to each stream, as ``[CLS] text [SEP]``.

    Special tokens that the vocabulary lacks are left out. Values of ``pairing``: ``fields``: ``text_a`` and ``text_b``
    of a record. ``next``: a line and the next line of its document (Quick-Thoughts; Logeswaran & Lee, 2018).
    ``same``: the same line twice, which dropout makes different (SimCSE; Gao et al., 2021).

    Labels ``clr``: ``labels`` (batch,), 1 for each pair; ``items`` (batch, 2), identities of the two texts after
    tokenization and cutting. Labels ``cls``, if labelled: the same as those of the processor ``cls``.
    """

    def __init__(self, config: PairProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        if len(data.streams) != 2:
            have = ", ".join(data.streams) or "none"
            raise TPError(f"data.processor.pair: needs a model of exactly two streams (model.streams), not {have}")
        self.streams = data.streams
        self.pairing, self.labelled = config.pairing, config.labelled
        self.room = self.max_length - self.special_count(pair=False)

    # -- rows --------------------------------------------------------------------------------------------------

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        if self.pairing == "fields":
            return self._of_fields(records, report)
        return in_columns(self._of_lines(records, report))

    def _of_fields(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        pairs = self._pairs(records, report)
        while chunk := list(islice(pairs, CHUNK)):
            columns: dict[str, list[Any]] = {
                "first": self._cut([first for first, _, _ in chunk]),
                "second": self._cut([second for _, second, _ in chunk]),
            }
            if self.labelled:
                columns |= {name: [labels[name] for _, _, labels in chunk] for name in self.classes.columns}
            yield columns

    def _cut(self, texts: list[str]) -> list[list[int]]:
        return [ids[: self.room] for ids in self.tokenizer.encode_batch(texts)]

    def _pairs(self, records: Iterable[Record], report: Report) -> Iterator[tuple[str, str, dict[str, int]]]:
        for record in records:
            try:
                pair = _fields_of(record)
                labels = self.read_labels(record) if self.labelled and pair is not None else {}
            except DataError as error:
                report(error)
                continue
            if pair is not None:
                yield *pair, labels

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
        first = rows.get("first", index)
        sample = self._pair_sample(first, first if self.pairing == "same" else rows.get("second", index))
        if self.labelled:
            sample |= self.classes.of_row(rows, index)
        return sample

    def _pair_sample(self, first: Any, second: Any) -> Sample:
        return {"first": self.assemble(first)["input_ids"], "second": self.assemble(second)["input_ids"]}

    # -- batches -----------------------------------------------------------------------------------------------

    def collate(self, samples: list[Sample]) -> Batch:
        """One :data:`Inputs` per stream; only the streams for which the samples have a text."""
        source: dict[str, Any] = {}
        for stream, side in zip(self.streams, ("first", "second")):
            if side in samples[0]:
                rows: list[Ids] = [s[side] for s in samples]
                source[stream] = token_inputs(rows, self.max_length, self.pad, self.pad_to == "max_length")
                source[stream]["token_type_ids"] = torch.zeros_like(source[stream]["input_ids"])
        return Batch(source, len(samples), labels=self.labels(samples))

    def labels(self, samples: list[Sample]) -> dict[str, Inputs]:
        counted: dict[str, Inputs] = {"clr": {"labels": torch.ones(len(samples), dtype=torch.int64)}}
        if {"first", "second"} <= samples[0].keys():
            items = [[item_id(sample["first"]), item_id(sample["second"])] for sample in samples]
            counted["clr"]["items"] = torch.tensor(items)
        return counted | super().labels(samples) if self.labelled else counted

    # -- inference ---------------------------------------------------------------------------------------------

    def encode(self, records: list[Record]) -> list[Sample]:
        """Pairs of ``text_a`` and ``text_b``; a single text is embedded by the stream of its side.

        Raises:
            DataError: only some of the records have the text of a side, or a record has no text.
        """
        found: dict[str, list[list[int]]] = {}
        for side, names in (("first", ("text_a", "text")), ("second", ("text_b",))):
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

    def _nonempty(self, ids: Ids) -> Ids:
        return ids if len(ids) else np.array([self.pad], dtype=np.int32)


def _fields_of(record: Record) -> tuple[str, str] | None:
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
