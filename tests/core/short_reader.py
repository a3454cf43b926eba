"""A processor for test projects that reads 16 records ahead and writes down what it makes batches of.

Each batch is a line in ``batches-RANK.txt`` of the folder that ``BATCHES`` in the environment names: its rows and its
length. What the file ``trouble.txt`` names happens at a text that begins with its first word: ``die``, ``fail`` or
``memory``.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from tp_core.interfaces import Batch, Processor, Record, Sample, Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.lm import LmProcessor
from tp_text.processors.lm_options import LmProcessorConfig


class Config(LmProcessorConfig):
    """The processor of language models, with short chunks."""

    def build(self, data: DataContext, tokenizer: Tokenizer | None) -> Processor:
        assert tokenizer is not None
        return ShortReader(self, data, tokenizer)


def trouble(texts: list[str]) -> None:
    """Do what ``trouble.txt`` says, in the process that meets the text it names."""
    plan = Path("trouble.txt")
    word, what, rank = plan.read_text().split() if plan.exists() else ("", "", "")
    if not word or rank != os.environ.get("RANK") or not any(text.split()[0] == word for text in texts):
        return
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    raise MemoryError("no room") if what == "memory" else RuntimeError("a bug")


class ShortReader(LmProcessor):
    @property
    def read_ahead(self) -> int:
        return 16

    def encode(self, records: list[Record]) -> list[Sample]:
        trouble([str(record.value.get("text", "-")) for record in records])
        return super().encode(records)

    def collate(self, samples: list[Sample]) -> Batch:
        batch = super().collate(samples)
        if folder := os.environ.get("BATCHES"):
            shape: Any = batch.inputs["input_ids"].shape
            with open(Path(folder) / f"batches-{os.environ.get('RANK', 0)}.txt", "a") as file:
                file.write(f"{shape[0]} {shape[1]}\n")
        return batch
