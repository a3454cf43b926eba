"""ELMo's training samples: packed rows whose positions predict the next and the previous token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tp_core.data.padding import Ids, joined, padded, token_inputs
from tp_core.interfaces import IGNORE, Batch, Record, Report, Rows, Sample, Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.bilm_options import BidirectionalLmProcessorConfig
from tp_text.processors.packing import packed_rows
from tp_text.processors.reading import text_of
from tp_text.processors.seq2seq import end_of
from tp_text.processors.text import TextProcessor


class BidirectionalLmProcessor(TextProcessor):
    """Packs documents, one per line, into rows, with the end token between documents.

    If the vocabulary has these tokens, a row begins with ``cls`` or ``bos`` and ends with ``eos`` or ``sep``. So the
    first and the last word are predicted, too (Peters et al., 2018).
    """

    def __init__(self, config: BidirectionalLmProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        begin = self.cls if self.cls is not None else tokenizer.special.get("bos")
        self.end = end_of(tokenizer)
        self.head = () if begin is None else (begin,)
        self.tail = () if self.end is None else (self.end,)
        self.pack = config.pack
        self.room = self.max_length - len(self.head) - len(self.tail)

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        documents = (ids for texts in self.tokenized(records, report) for ids in texts.documents())
        least = 2 - len(self.head) - len(self.tail)
        for rows in packed_rows(documents, self.room, self.end if self.pack else None, across=self.pack):
            yield {"tokens": [row for row in rows if len(row) >= least]}

    def framed(self, ids: Any) -> Ids:
        return joined(self.head, ids, self.tail)

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        return {"input_ids": self.framed(rows.get("tokens", index)), "labelled": 1}

    def collate(self, samples: list[Sample]) -> Batch:
        rows = [s["input_ids"] for s in samples]
        source = token_inputs(rows, self.max_length, self.pad, self.pad_to == "max_length")
        nothing = np.empty(0, dtype=np.int32)
        labelled = "labelled" in samples[0]
        after = [joined(row[1:], [IGNORE]) if labelled else nothing for row in rows]
        before = [joined([IGNORE], row[:-1]) if labelled else nothing for row in rows]
        width = source["input_ids"].shape[1]
        labels = {"forward": padded(after, width, IGNORE), "backward": padded(before, width, IGNORE)}
        return Batch.of(source, len(samples), labels={"bilm": labels})

    def encode(self, records: list[Record]) -> list[Sample]:
        texts = self.tokenizer.encode_batch([text_of(r) for r in records])
        # The model needs at least one token, even if the text is empty.
        empty = [] if self.head or self.tail else [self.pad]
        return [{"input_ids": self.framed(ids[: self.room] or empty)} for ids in texts]
