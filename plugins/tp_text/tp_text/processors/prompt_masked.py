"""Prompts for masked language models."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tp_core.data.padding import joined, lengths_of, padded, real_places
from tp_core.errors import TPError
from tp_core.interfaces import IGNORE, Inputs, Record, Report, Sample, Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.prompt import PATH, PromptProcessor
from tp_text.processors.prompt_options import PromptProcessorConfig
from tp_text.processors.prompt_words import word_tokens


class MaskedPromptProcessor(PromptProcessor):
    """Prompts for masked language models: a word has as many masks as tokens.

    A sample has one sequence for each number of masks that a word needs.
    """

    row_columns = ("tokens", "place")

    def __init__(self, config: PromptProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        if "mask" not in tokenizer.special:
            raise TPError(f"{PATH}: the vocabulary has no mask token; set mask_token of the tokenizer")
        super().__init__(config, data, tokenizer)
        self.mask_id = tokenizer.special["mask"]
        self.mask_token = tokenizer.token(self.mask_id)
        tokens = word_tokens(tokenizer, self.template, [word for own in self.words for word in own])
        #: The numbers of masks, ascending: one sequence for each.
        self.masks = sorted({len(ids) for ids in tokens})
        firsts = dict(zip(self.masks, np.cumsum([0, *self.masks]).tolist()))
        self.ids = np.full((*self.shape, max(self.masks)), IGNORE, dtype=np.int64)
        self.slots = np.zeros_like(self.ids)
        for place, ids in zip(self.places, tokens):
            self.ids[place][: len(ids)] = ids
            self.slots[place][: len(ids)] = firsts[len(ids)] + np.arange(len(ids))
        self.slot_rows = np.repeat(np.arange(len(self.masks)), self.masks)
        self.slot_offsets = np.concatenate([np.arange(count) for count in self.masks])

    def ids_of(self, texts: list[str]) -> list[list[int]]:
        return self.tokenizer.encode_masked(texts)

    def filled_rows(self, given: list[tuple[Record, dict[str, str]]], report: Report) -> list[dict[str, Any] | None]:
        filled = [self.template.filled(values, self.mask_token, strip=True) for _, values in given]
        ids = self.ids_of([each.text for each in filled])
        # The texts of records may have mask tokens, too.
        before = [each.text[: each.word[0]].count(self.mask_token) for each in filled]
        places = [
            [n for n, token in enumerate(own) if token == self.mask_id][number] for own, number in zip(ids, before)
        ]
        most = self.max_length - self.special_count(pair=False) + 1 - max(self.masks)
        cut = self.cut_ids([[text] for text in zip(filled, ids)], most, [record for record, _ in given], report)
        found: list[dict[str, Any] | None] = []
        for own, place in zip(cut, places):
            if own is None:
                found.append(None)
                continue
            ((kept, before_cut),) = own
            found.append({"tokens": np.array(kept, np.int32), "place": before_cut.index(place)})
        return found

    def placed(self, row: dict[str, Any]) -> Sample:
        tokens, place, frame = row["tokens"], int(row["place"]), self.frame()
        sequences = [
            frame.join(joined(tokens[:place], np.full(count, self.mask_id), tokens[place + 1 :]))
            for count in self.masks
        ]
        return {
            "input_ids": joined(*sequences),
            "lengths": lengths_of(sequences),
            "rows": self.slot_rows,
            "positions": len(frame.head) + place + self.slot_offsets,
            "ids": self.ids,
            "slots": self.slots,
        }

    def more_inputs(self, lengths: NDArray[np.int64], width: int) -> Inputs:
        frame = self.frame()
        types = [frame.types(int(length) - frame.special_count) for length in lengths]
        return {"token_type_ids": padded(types, width, 0), **real_places(lengths, width)}
