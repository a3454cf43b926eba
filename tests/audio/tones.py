"""Recordings for tests: words are tones, so that no synthesiser is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from tp_core.data.cache.rows import ArrowRows, write_rows
from tp_core.data.sampling.order import TRAIN, generator
from tp_core.errors import DataError
from tp_core.interfaces import Processor, Record, Tokenizer
from tp_core.options.context import DataContext
from tp_core.testing.specs import config_class_of
from tp_text.tokenizers.line_vocabulary_options import SpaceConfig

RATE = 8000
#: Words and the pitch of each, in Hz.
WORDS = {"low": 400, "middle": 900, "high": 1800, "top": 3000}
SPECIAL = ["[PAD]", "[UNK]", "[EOS]"]
PAD, UNK, EOS = range(3)


def tone(text: str, rate: int = RATE, seconds: float = 0.1, seed: int = 0) -> NDArray[np.float32]:
    """The words of a text as tones, a pause after each, with a little noise."""
    draw = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    parts: list[Any] = []
    for word in text.split():
        parts += [0.3 * np.sin(2 * np.pi * WORDS[word] * time), np.zeros(int(0.05 * rate))]
    samples = np.concatenate(parts)
    found: NDArray[np.float32] = (samples + 0.003 * draw.normal(size=len(samples))).astype(np.float32)
    return found


def texts(count: int, seed: int = 0, most: int = 4) -> list[str]:
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(list(WORDS), draw.integers(2, most + 1))) for _ in range(count)]


def recordings(folder: Path, count: int, seed: int = 0, rate: int = RATE) -> Path:
    """A manifest of recordings and their texts."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["audio\ttext"]
    for number, text in enumerate(texts(count, seed)):
        soundfile.write(folder / f"{number}.wav", tone(text, rate, seed=1000 * seed + number), rate)
        rows.append(f"{number}.wav\t{text}")
    manifest = folder / "manifest.tsv"
    manifest.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return manifest


def vocabulary(folder: Path) -> Path:
    file = folder / "words.txt"
    file.write_text("\n".join([*SPECIAL, *WORDS]) + "\n", encoding="utf-8")
    return file


def tokenizer(folder: Path) -> Tokenizer:
    return SpaceConfig(vocab=str(vocabulary(folder)), eos_token="[EOS]").build(DataContext())


def processor(folder: Path, name: str, data: DataContext | None = None, **options: Any) -> Processor:
    config: Any = config_class_of("processor", name)(**{"sampling_rate": RATE, "num_mel_bins": 20, **options})
    made: Processor = config.build(data or DataContext(), tokenizer(folder))
    return made


def refuse(error: DataError) -> None:
    raise error


def rows_of(made: Processor, records: list[Record], folder: Path) -> ArrowRows:
    file = folder / "rows.arrow"
    write_rows(file, made.prepare(iter(records), refuse))
    return ArrowRows(file)


def record(manifest: Path, **fields: Any) -> Record:
    return Record(fields, str(manifest), 7)


def drawn(made: Processor, rows: ArrowRows, index: int, epoch: int = 0) -> Any:
    return made.sample(rows, index, generator(3, TRAIN, epoch, index))
