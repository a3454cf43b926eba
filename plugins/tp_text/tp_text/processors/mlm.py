"""RoBERTa's training samples: rows of running text with masked tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tp_core.interfaces import Inputs, Record, Report, Rows, Sample, Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.masking import Masking
from tp_text.processors.mlm_options import MlmProcessorConfig
from tp_text.processors.packing import packed_rows
from tp_text.processors.text import TextProcessor


class MlmProcessor(TextProcessor):
    """Makes rows from text with one document per line; a row may span several documents unless ``pack`` is false."""

    def __init__(self, config: MlmProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        self.pack = config.pack
        self.masking = Masking(config, tokenizer, config.max_length)
        self.room = config.max_length - self.special_count(pair=False)

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        documents = (ids for texts in self.tokenized(records, report) for ids in texts.documents())
        for rows in packed_rows(documents, self.room, self.sep if self.pack else None, across=self.pack):
            yield {"tokens": rows}

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        sample = self.assemble(rows.get("tokens", index))
        self.masking(sample, generator)
        return sample

    def labels(self, samples: list[Sample]) -> dict[str, Inputs]:
        if "mlm_positions" not in samples[0]:
            return self.mask_labels(samples)
        return {"mlm": self.masking.labels(samples)}
