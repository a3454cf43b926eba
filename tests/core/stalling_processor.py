"""A processor for test projects that does not go on at one sample, as long as a file named ``stall`` is there.

Where it stalls it leaves a file ``stalled``, so that a test can wait for it.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any, Literal

from tp_core.interfaces import Processor, Rows, Sample, Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.bert import BertProcessor
from tp_text.processors.bert_options import BertProcessorConfig


class Config(BertProcessorConfig):
    """BERT's processor, with one sample of the training or of the evaluation that takes its time."""

    part: Literal["train", "eval"] = "train"
    index: int = 0
    how: Literal["sleep", "stop"] = "sleep"
    seconds: float = 60
    each: float = 0.0

    def build(self, data: DataContext, tokenizer: Tokenizer | None) -> Processor:
        assert tokenizer is not None
        return Stalling(self, data, tokenizer)


class Stalling(BertProcessor):
    def __init__(self, config: Config, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        self.options = config

    def sample(self, rows: Rows, index: int, generator: Any) -> Sample:
        self._check("train", index)
        return super().sample(rows, index, generator)

    def evaluation_sample(self, rows: Rows, index: int, generator: Any) -> Sample:
        self._check("eval", index)
        return super().sample(rows, index, generator)

    def _check(self, part: str, index: int) -> None:
        options = self.options
        if options.part != part or not Path("stall").exists():
            return
        time.sleep(options.each)
        if index == options.index:
            Path("stalled").touch()
            if options.how == "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            else:
                time.sleep(options.seconds)
