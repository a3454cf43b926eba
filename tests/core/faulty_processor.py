"""A processor for test projects of which one sample cannot be made as long as a file named ``fault`` is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from tp_core.errors import DataError
from tp_core.interfaces import Processor, Rows, Sample, Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.bert import BertProcessor
from tp_text.processors.bert_options import BertProcessorConfig


class Config(BertProcessorConfig):
    """BERT's processor, with one sample of the training or of the evaluation that may fail."""

    part: Literal["train", "eval"] = "train"
    index: int = 0

    def build(self, data: DataContext, tokenizer: Tokenizer | None) -> Processor:
        assert tokenizer is not None
        return Faulty(self, data, tokenizer)


class Faulty(BertProcessor):
    def __init__(self, config: Config, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        self.part, self.index = config.part, config.index

    def sample(self, rows: Rows, index: int, generator: Any) -> Sample:
        self._check("train", index)
        return super().sample(rows, index, generator)

    def evaluation_sample(self, rows: Rows, index: int, generator: Any) -> Sample:
        self._check("eval", index)
        return super().sample(rows, index, generator)

    def _check(self, part: str, index: int) -> None:
        if self.part == part and self.index == index and Path("fault").exists():
            raise DataError("this record is broken", file="corpus.txt", line=index)
