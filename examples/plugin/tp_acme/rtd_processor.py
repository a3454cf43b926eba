"""The processor ``acme.rtd``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch

from tp_acme.rtd_processor_options import ReplacedTokensConfig
from tp_core import IGNORE, Batch, DataContext, DataError, Processor, Record, Report, Rows, Sample, Tokenizer

#: Number of texts that are tokenised together.
CHUNK = 1000


class ReplacedTokens(Processor):
    """Stores one row per text, truncated to the maximum length. Tokens are replaced anew at each visit."""

    def __init__(self, config: ReplacedTokensConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        self.tokenizer, self.rate = tokenizer, config.rate
        special = tokenizer.special
        self.before, self.after = ([special[role]] if role in special else [] for role in ("cls", "sep"))
        self.room = config.max_length - len(self.before) - len(self.after)
        self.pad = special.get("pad", 0)
        self.plain = np.setdiff1d(np.arange(tokenizer.vocab_size), list(special.values()))

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        texts: list[str] = []
        for record in records:
            text = record.value.get("text")
            if not isinstance(text, str):
                report(DataError("there is no text", file=record.file, line=record.line))
                continue
            texts.append(text)
            if len(texts) == CHUNK:
                yield self.rows(texts)
                texts = []
        yield self.rows(texts)

    def rows(self, texts: list[str]) -> dict[str, list[Any]]:
        """The rows of texts. Texts without tokens have no row."""
        return {"tokens": [ids[: self.room] for ids in self.tokenizer.encode_batch(texts) if ids]}

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        tokens = rows.get("tokens", index)
        drawn = generator.choice(self.plain, len(tokens))
        changed = np.where(generator.random(len(tokens)) < self.rate, drawn, tokens)
        # If the random token equals the original, it does not count as replaced.
        return {**self.framed(changed), "replaced": (changed != tokens).astype(np.int64)}

    def framed(self, tokens: Any) -> Sample:
        """A text's tokens with the special tokens around them."""
        return {"input_ids": np.concatenate([self.before, tokens, self.after]).astype(np.int64)}

    def encode(self, records: list[Record]) -> list[Sample]:
        ids = self.tokenizer.encode_batch([str(record.value.get("text") or "") for record in records])
        return [self.framed(each[: self.room]) for each in ids]

    def collate(self, samples: list[Sample]) -> Batch:
        """A batch, padded on the right. Special tokens and padding have no label."""
        width = max(len(sample["input_ids"]) for sample in samples)
        ids = torch.full((len(samples), width), self.pad)
        mask = torch.zeros(len(samples), width, dtype=torch.int64)
        labels = torch.full((len(samples), width), IGNORE)
        for row, sample in enumerate(samples):
            mask[row, : len(sample["input_ids"])] = 1
            ids[row, : len(sample["input_ids"])] = torch.from_numpy(sample["input_ids"])
            if "replaced" in sample:
                begin = len(self.before)
                labels[row, begin : begin + len(sample["replaced"])] = torch.from_numpy(sample["replaced"])
        named = {"replaced": {"labels": labels}} if "replaced" in samples[0] else {}
        source = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
        return Batch.of(source, len(samples), labels=named)
