"""Prompts for causal language models."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tp_core.data.padding import joined, lengths_of, real_places
from tp_core.errors import DataError
from tp_core.interfaces import IGNORE, Inputs, Record, Report, Sample
from tp_text.processors.prompt import PromptProcessor
from tp_text.processors.prompt_template import shared
from tp_text.processors.prompt_words import special_count


class CausalPromptProcessor(PromptProcessor):
    """Prompts for causal language models: a word is scored by the tokens of the text from the word on.

    A sample has one sequence for each word. Words whose texts differ only in their last token share one, since this
    token is not read.
    """

    row_columns = ("tokens", "lengths", "start")

    @property
    def head(self) -> tuple[int, ...]:
        """The special tokens before a text: those of the tokenizer."""
        own = self.tokenizer.frame()
        return () if own is None else own.head

    def ids_of(self, texts: list[str]) -> list[list[int]]:
        return self.tokenizer.encode_batch(texts)

    def filled_rows(self, given: list[tuple[Record, dict[str, str]]], report: Report) -> list[dict[str, Any] | None]:
        words = [word for own in self.words for word in own]
        filled = [[self.template.filled(values, word) for word in words] for _, values in given]
        ids = iter(self.ids_of([each.text for own in filled for each in own]))
        texts = [[(each, next(ids)) for each in own] for own in filled]
        # The white space before a word belongs to the word.
        contexts = self.ids_of([own[0].text[: own[0].word[0]].rstrip() for own in filled])
        starts = [min(shared(context, whole) for _, whole in own) for context, own in zip(contexts, texts)]
        most = self.max_length - special_count(self.tokenizer, self.template, "causal")
        cut = self.cut_ids(texts, most, [record for record, _ in given], report)
        found: list[dict[str, Any] | None] = []
        for own, start, (record, _) in zip(cut, starts, given):
            if own is None:
                found.append(None)
                continue
            first = sum(place < start for place in own[0][1])
            head = self.head or (() if first else self._begin(record))
            whole = [joined(head, kept) for kept, _ in own]
            found.append({"tokens": joined(*whole), "lengths": lengths_of(whole), "start": len(head) + first})
        return found

    def _begin(self, record: Record) -> tuple[int, ...]:
        """The end token, after which a text begins; the first token of a text has a probability only after another."""
        if "eos" in self.tokenizer.special:
            return (self.tokenizer.special["eos"],)
        message = "no token precedes the word, and the vocabulary has no end token with which texts could begin"
        raise DataError(message, file=record.file, line=record.line)

    def placed(self, row: dict[str, Any]) -> Sample:
        whole = np.split(row["tokens"], np.cumsum(row["lengths"])[:-1])
        start = int(row["start"])
        numbers: dict[bytes, int] = {}
        slots: dict[tuple[int, int], int] = {}  # (sequence, position) → slot
        scored = [ids[start:] for ids in whole]
        size = (*self.shape, max(map(len, scored)))
        sample_ids, sample_slots = np.full(size, IGNORE, dtype=np.int64), np.zeros(size, dtype=np.int64)
        for place, ids, own in zip(self.places, whole, scored):
            number = numbers.setdefault(ids[:-1].tobytes(), len(numbers))
            sample_ids[place][: len(own)] = own
            positions = range(start - 1, len(ids) - 1)
            sample_slots[place][: len(own)] = [slots.setdefault((number, each), len(slots)) for each in positions]
        sequences = [np.frombuffer(each, dtype=np.int32) for each in numbers]
        rows, positions = np.array(list(slots)).T
        return {
            "input_ids": joined(*sequences),
            "lengths": lengths_of(sequences),
            "rows": rows,
            "positions": positions,
            "ids": sample_ids,
            "slots": sample_slots,
        }

    def more_inputs(self, lengths: NDArray[np.int64], width: int) -> Inputs:
        return real_places(lengths, width, causal=True)
