"""Tokenization of records in batches that are large enough for a tokenizer's threads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tp_core.data.fields import required_text
from tp_core.data.sources.records import Records
from tp_core.data.sources.text import TextRun
from tp_core.errors import DataError
from tp_core.interfaces import Record, Report, Tokenizer

#: Number of texts per tokenizer call: enough to keep its threads busy, few enough to keep in memory.
CHUNK = 4096


@dataclass(frozen=True)
class Texts:
    """Consecutive texts of one file.

    Attributes:
        lines: line number of each text.
    """

    file: str
    lines: Sequence[int]
    texts: list[str]


@dataclass(frozen=True)
class TokenizedTexts(Texts):
    """Consecutive texts of one file with their ids.

    Attributes:
        ids: concatenated ids of all texts.
        ends: end of each text in ``ids``.
    """

    ids: NDArray[np.int32]
    ends: list[int]

    def documents(self) -> Iterator[NDArray[np.int32]]:
        """The ids of each text; texts without ids are skipped."""
        start = 0
        for end in self.ends:
            if end > start:
                yield self.ids[start:end]
                start = end


def tokenized(tokenizer: Tokenizer, records: Iterable[Record], report: Report) -> Iterator[TokenizedTexts]:
    """The texts of the records with their ids; a record without a text is reported."""
    for batch in _batches(_runs(records, report)):
        ids, ends = tokenizer.encode_flat([text for run in batch for text in run.texts])
        first = start = 0
        for run in batch:
            mine = ends[first : first + len(run.texts)]
            stop = int(mine[-1])
            yield TokenizedTexts(run.file, run.lines, run.texts, ids[start:stop], (mine - start).tolist())
            first, start = first + len(mine), stop


def _batches(runs: Iterable[Texts]) -> Iterator[list[Texts]]:
    """Group consecutive runs into batches of at least ``CHUNK`` texts; the last batch may be smaller."""
    batch: list[Texts] = []
    count = 0
    for run in runs:
        batch.append(run)
        count += len(run.texts)
        if count >= CHUNK:
            yield batch
            batch, count = [], 0
    if batch:
        yield batch


def _runs(records: Iterable[Record], report: Report) -> Iterator[Texts]:
    """Group the records' texts into runs of 1 to ``CHUNK`` texts of one file."""
    for part in records.parts if isinstance(records, Records) else [records]:
        if isinstance(part, TextRun) and not {"text", "text_a"}.isdisjoint(part.fields):
            for i in range(0, len(part.lines), CHUNK):
                texts = part.lines[i : i + CHUNK]
                yield Texts(part.file, range(part.first + i, part.first + i + len(texts)), texts)
        else:
            yield from _record_runs(part, report)


def _record_runs(records: Iterable[Record], report: Report) -> Iterator[Texts]:
    file = ""
    lines: list[int] = []
    texts: list[str] = []
    for record in records:
        try:
            text = text_of(record)
        except DataError as error:
            report(error)
            continue
        if texts and (record.file != file or len(texts) == CHUNK):
            yield Texts(file, lines, texts)
            lines, texts = [], []
        file = record.file
        lines.append(record.line)
        texts.append(text)
    if texts:
        yield Texts(file, lines, texts)


def text_of(record: Record) -> str:
    """A record's first text: ``text_a``, else ``text``.

    Raises:
        DataError: the record has neither field, or the value is not a string.
    """
    return required_text(record, "text_a", "text")
