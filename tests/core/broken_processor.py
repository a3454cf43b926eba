"""A processor for test projects that cannot make one of its samples, or dies of it."""

from __future__ import annotations

import os
import signal
from typing import Any

from tp_core.errors import DataError
from tp_core.interfaces import Processor, Rows, Sample, Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.bert import BertProcessor
from tp_text.processors.bert_options import BertProcessorConfig


class Config(BertProcessorConfig):
    """BERT's processor, with one sample that fails."""

    die: bool = False

    def build(self, data: DataContext, tokenizer: Tokenizer | None) -> Processor:
        assert tokenizer is not None
        return BrokenModuleError(self, data, tokenizer)


class BrokenModuleError(BertProcessor):
    def __init__(self, config: Config, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        self.die = config.die

    def sample(self, rows: Rows, index: int, generator: Any) -> Sample:
        if index == 7 and self.die:
            os.kill(os.getpid(), signal.SIGKILL)
        if index == 7:
            raise DataError("this record is broken", file="corpus.txt", line=7)
        return super().sample(rows, index, generator)
