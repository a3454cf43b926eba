"""Small pictures with captions, and the tokenizer of their words."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tp_core.data.cache.rows import ArrowRows, write_rows
from tp_core.errors import DataError
from tp_core.interfaces import Processor, Record, Rows, Tokenizer
from tp_core.options.context import DataContext, TargetFacts
from tp_text.tokenizers.line_vocabulary_options import SpaceConfig
from tp_vision.facts import GridFacts

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "a", "and"]
#: What a model with patches of 4 x 4 pixels of pictures of 8 x 8 says of itself.
GRID = GridFacts(2, 2, (4, 4), 1, leading=1)


def png(shade: int, width: int = 8, height: int = 8) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((height, width), shade, dtype=np.uint8)).save(stream, format="PNG")
    return stream.getvalue()


def tokenizer(folder: Path, words: list[str] | None = None, **options: str) -> Tokenizer:
    file = folder / "vocab.txt"
    file.write_text("\n".join(words or VOCABULARY) + "\n", encoding="utf-8")
    return SpaceConfig(vocab=str(file), **options).build(DataContext())


def captioned(count: int = 10) -> list[dict[str, Any]]:
    """Picture ``n`` is of shade 20 × n; its caption says the number, and again as many times as it is."""
    return [
        {"image": png(20 * n), "text": " ".join(["a", WORDS[n], *["and"] * n]), "label": n % 2} for n in range(count)
    ]


def context(*targets: str, streams: tuple[str, ...] = (), **more: Any) -> DataContext:
    return DataContext(
        targets={name: TargetFacts(name, {}, (name,)) for name in targets},
        streams=streams,
        facts={GridFacts: GRID},
        **more,
    )


def rows_of(processor: Processor, records: list[dict[str, Any]], folder: Path) -> Rows:
    """The rows of records, none of which may be bad."""

    def refuse(error: DataError) -> None:
        raise error

    path = folder / "rows.arrow"
    write_rows(path, processor.prepare((Record(r, "records", n) for n, r in enumerate(records, 1)), refuse))
    return ArrowRows(path)


def reported(processor: Processor, records: list[dict[str, Any]], file: str = "records.jsonl") -> tuple[int, list[str]]:
    """The number of rows that records make, and the messages about the records that make none."""
    said: list[str] = []
    chunks = processor.prepare(
        (Record(r, file, n) for n, r in enumerate(records, 1)), lambda error: said.append(str(error))
    )
    return sum(len(chunk.get("text", ())) for chunk in chunks), said
