"""UniLM's sequence-to-sequence samples: a prefix and its continuation in one sequence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch

from tp_core.data.fields import missing_field, text_field
from tp_core.data.padding import joined, padded
from tp_core.errors import DataError
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
from tp_core.options.context import DataContext
from tp_text.processors.prefixlm_options import PrefixLmProcessorConfig
from tp_text.processors.prompts import prompt
from tp_text.processors.reading import CHUNK, text_of
from tp_text.processors.seq2seq import end_of, source_text
from tp_text.processors.text import TextProcessor, fit
from tp_text.scoring.written import REFERENCE, ComparesTexts


class PrefixLmProcessor(ComparesTexts, TextProcessor):
    """Makes sequences ``[CLS] prefix [SEP] continuation [EOS]``.

    Special tokens that the vocabulary lacks are left out. Pairs come from the fields ``source`` and ``target`` (or
    ``text_a`` and ``text_b``). A record with a single text is cut into rows. Each row is split in two at a place that
    is drawn anew each time it is read.
    """

    def __init__(self, config: PrefixLmProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        self.text_metrics = config
        begin = self.cls if self.cls is not None else tokenizer.special.get("bos")
        end = end_of(tokenizer)
        assert end is not None  # checked by the config
        self.head = () if begin is None else (begin,)
        self.between = () if self.sep is None else (self.sep,)
        self.end = end
        self.prefix_loss = config.prefix_loss
        self.room = self.max_length - len(self.head) - len(self.between) - 1

    # -- rows --------------------------------------------------------------------------------------------------

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        texts = self._texts(records, report)
        while chunk := list(islice(texts, CHUNK)):
            prefixes = self.tokenizer.encode_batch([prefix for _, prefix, _ in chunk])
            others = self.tokenizer.encode_batch([other or "" for _, _, other in chunk])
            columns: dict[str, list[Any]] = {"prefix": [], "continuation": []}
            if self.has_metrics:
                columns[REFERENCE] = []
            for ids, rest, (record, _, other) in zip(prefixes, others, chunk):
                if other is not None and not rest:
                    # An empty continuation marks running text, and sample() would split the prefix.
                    report(DataError("the target has no tokens", file=record.file, line=record.line))
                    continue
                for first, second in self._rows(ids) if other is None else [fit(ids, rest, self.room)]:
                    columns["prefix"].append(first)
                    columns["continuation"].append(second or [])
                    if self.has_metrics:
                        columns[REFERENCE].append((other or "").encode())
            yield columns

    def _texts(self, records: Iterable[Record], report: Report) -> Iterator[tuple[Record, str, str | None]]:
        for record in records:
            try:
                pair = texts_of(record)
            except DataError as error:
                report(error)
                continue
            if pair is not None and pair[1] is None and self.has_metrics:
                report(missing_field(record, "'target' or 'text_b', which the metrics compare with"))
            elif pair is not None:
                yield record, *pair

    def _rows(self, ids: list[int]) -> Iterator[tuple[list[int], list[int] | None]]:
        # A single token cannot be split in two.
        for start in range(0, len(ids) - 1, self.room):
            yield ids[start : start + self.room], None

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        prefix, continuation = rows.get("prefix", index), rows.get("continuation", index)
        if not len(continuation):
            cut = int(generator.integers(1, len(prefix))) if len(prefix) > 1 else 0
            prefix, continuation = prefix[:cut], prefix[cut:]
        sample = self._framed(prefix)
        rest = joined(continuation, [self.end])
        sample["token_type_ids"] = np.repeat(np.arange(2, dtype=np.int32), [sample["prefix_length"], len(rest)])
        sample["input_ids"] = joined(sample["input_ids"], rest)
        labels = np.append(sample["input_ids"][1:], np.int32(IGNORE))
        if not self.prefix_loss:
            labels[: max(0, sample["prefix_length"] - 1)] = IGNORE
        sample["labels"] = labels
        return sample

    def evaluation_sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        return {**self.sample(rows, index, generator), **self.reference(rows, index)}

    def question(self, sample: Sample) -> Sample:
        return {name: sample[name][: sample["prefix_length"]] for name in ("input_ids", "token_type_ids")} | {
            "prefix_length": sample["prefix_length"]
        }

    def longest_text(self) -> int:
        return self.max_length

    def _framed(self, prefix: Any) -> Sample:
        ids = joined(self.head, prefix, self.between)
        return {"input_ids": ids, "token_type_ids": np.zeros(len(ids), np.int32), "prefix_length": len(ids)}

    # -- batches -----------------------------------------------------------------------------------------------

    def collate(self, samples: list[Sample]) -> Batch:
        batch = super().collate(samples)
        source = dict(batch.inputs)
        if not self.prefix_loss:  # with prefix_loss, prefix tokens are predicted, so they need causal attention
            source["prefix_lengths"] = torch.tensor([s["prefix_length"] for s in samples])
        return Batch.of(source, batch.size, labels=self._labels(samples, batch.inputs["input_ids"]))

    @staticmethod
    def _labels(samples: list[Sample], ids: torch.Tensor) -> dict[str, Inputs]:
        nothing = np.empty(0, dtype=np.int32)
        rows = [s.get("labels", nothing) for s in samples]
        return {"lm": {"labels": padded(rows, ids.shape[1], IGNORE)}}

    # -- inference ---------------------------------------------------------------------------------------------

    def encode(self, records: list[Record]) -> list[Sample]:
        """Prefixes only, from ``source``, ``text_a`` or ``text``."""
        texts = self._inference_ids([source_text(r) for r in records])
        empty = [] if self.head or self.between else [self.end]
        return [self._framed(ids[: self.room] or empty) for ids in texts]

    def prompts(self, records: list[Record], room: PromptRoom) -> list[Sample]:
        """Prefixes, cut to ``room``."""
        texts = self._inference_ids([source_text(r) for r in records])
        empty = [] if self.head or self.between else [self.end]
        samples = []
        for record, ids in zip(records, texts):
            sample = prompt(record, ids or empty, room, self.head, self.between)
            length = len(sample["input_ids"])
            samples.append({**sample, "token_type_ids": np.zeros(length, np.int32), "prefix_length": length})
        return samples

    def generation(self) -> GenerationTokens:
        return GenerationTokens(end=(self.end,), pad=self.pad, inputs={"token_type_ids": 1})

    def decode(self, ids: list[int], prompt: list[int] | None = None) -> str:
        return self.tokenizer.decode(ids)


def texts_of(record: Record) -> tuple[str, str | None] | None:
    """Prefix and continuation of a record, or its only text and None; None for a blank line.

    Raises:
        DataError: the record has no text, or one side of the pair is empty.
    """
    source, target = text_field(record, "source", "text_a"), text_field(record, "target", "text_b")
    if source is None or target is None:
        text = source if source is not None else text_of(record)
        return (text, None) if text.strip() else None
    for name, side in (("source", source), ("target", target)):
        if not side.strip():
            raise DataError(f"the {name} is empty", file=record.file, line=record.line)
    return source, target
