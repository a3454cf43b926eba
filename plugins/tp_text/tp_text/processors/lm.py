"""GPT's training samples: packed rows whose positions predict the next token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tp_core.data.padding import lengths_of, padded, real_places
from tp_core.interfaces import (
    IGNORE,
    Batch,
    GenerationTokens,
    Inputs,
    PromptRoom,
    Record,
    Report,
    Rows,
    Sample,
    Tokenizer,
)
from tp_core.interfaces.framing import BARE, Frame
from tp_core.options.context import DataContext
from tp_text.processors.lm_options import LmProcessorConfig
from tp_text.processors.packing import packed_rows
from tp_text.processors.prompts import prompt
from tp_text.processors.reading import TokenizedTexts, text_of
from tp_text.processors.text import TextProcessor


class LmProcessor(TextProcessor):
    """Packs documents, one per line, into rows of ``max_length`` + 1 tokens; a row may span several documents
    unless ``pack`` is false.

    A document begins with the tokenizer's initial special tokens (LLaMA's ``<s>``) and ends with the end-of-text token.

    The first ``max_length`` tokens of a row are the input, and the last ``max_length`` tokens are the labels.
    Neighbouring rows share no token.
    """

    def __init__(self, config: LmProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        self.eos, self.pack = tokenizer.special["eos"], config.pack
        self.head = self.frame().head
        self.isolate, self.from_left = config.isolate_documents, config.truncation_side == "left"

    @staticmethod
    def frames_of(tokenizer: Tokenizer) -> tuple[Frame, Frame]:
        """The tokenizer's frames; empty ones if it has none, because a document only needs its end token."""
        return tokenizer.frame() or BARE[0], tokenizer.frame(pair=True) or BARE[1]

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        documents = (ids for texts in self.tokenized(records, report) for ids in self._ended(texts))
        for rows in packed_rows(documents, self.max_length + 1, separator=None, across=self.pack):
            # A row of one token has no next token to predict.
            yield {"tokens": [row for row in rows if len(row) > 1]}

    def _ended(self, texts: TokenizedTexts) -> Iterator[NDArray[np.int32]]:
        """The documents, each between the tokenizer's initial special tokens and the end-of-text token."""
        begin, end = np.array(self.head, dtype=np.int32), np.array([self.eos], dtype=np.int32)
        for ids in texts.documents():
            yield np.concatenate([begin, ids, end])

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        tokens = rows.get("tokens", index)
        return {"input_ids": tokens[:-1], "labels": tokens[1:]}

    def collate(self, samples: list[Sample]) -> Batch:
        """Pad short rows on the right, where causal attention needs no mask."""
        rows = [sample["input_ids"] for sample in samples]
        lengths = lengths_of(rows)
        longest = int(lengths.max())  # a prompt may be longer than a training row
        width = longest if self.pad_to == "longest" else max(longest, self.max_length)
        nothing = np.empty(0, dtype=np.int32)
        labels = padded([sample.get("labels", nothing) for sample in samples], width, IGNORE)
        source: Inputs = {"input_ids": padded(rows, width, self.pad)}
        source |= real_places(lengths, width, causal="labels" in samples[0])
        if self.isolate:
            source |= self._documents(source["input_ids"].numpy())
        return Batch.of(source, len(samples), labels={"lm": {"labels": labels}})

    def _documents(self, ids: NDArray[np.int64]) -> Inputs:
        """For each token, the number of its document and its position there."""
        ends = np.zeros_like(ids)
        ends[:, 1:] = ids[:, :-1] == self.eos
        numbers = np.cumsum(ends, axis=1)
        index = np.arange(ids.shape[1])
        starts = np.maximum.accumulate(np.where(ends == 1, index, 0), axis=1)
        return {"document_ids": torch.from_numpy(numbers), "position_ids": torch.from_numpy(index - starts)}

    def encode(self, records: list[Record]) -> list[Sample]:
        """Texts with the tokenizer's special tokens; long texts are cut on the configured side."""
        frame, samples = self.frame(), []
        for ids in self._inference_ids([text_of(r) for r in records]):
            room = max(self.max_length - frame.special_count, 0)
            whole = frame.join(ids[max(len(ids) - room, 0) :] if self.from_left else ids[:room])
            # The model needs at least one token; an empty text becomes the end token, which precedes a new document.
            samples.append({"input_ids": whole if len(whole) else np.array([self.eos], np.int32)})
        return samples

    def prompts(self, records: list[Record], room: PromptRoom) -> list[Sample]:
        """Texts after the tokenizer's initial special tokens, cut to ``room``; an empty text begins a document."""
        rows = self._inference_ids([text_of(r) for r in records])
        empty = [] if self.head else [self.eos]
        return [prompt(record, ids or empty, room, self.head) for record, ids in zip(records, rows)]

    def generation(self) -> GenerationTokens:
        return GenerationTokens(end=(self.eos,), pad=self.pad)

    def decode(self, ids: list[int], prompt: list[int] | None = None) -> str:
        return self.tokenizer.decode(ids) if prompt is None else self.tokenizer.decode_after(prompt, ids)
