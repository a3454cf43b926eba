"""Shared parts of the benchmarks: training text, specs, timing."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

#: Hidden size, number of layers and number of heads of the two measured models.
MODELS = {"tiny": (128, 2, 2), "mini": (256, 4, 4)}
VOCABULARY = 21128


def write_vocabulary(folder: Path) -> Path:
    """A word-piece vocabulary of 21,128 tokens, the size of BERT's Chinese vocabulary."""
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(VOCABULARY - 5))]
    path = folder / "vocab.txt"
    path.write_text("\n".join(tokens) + "\n", encoding="utf-8")
    return path


def write_corpus(folder: Path, sentences: int = 20000, seed: int = 0) -> Path:
    """A corpus of sentences of random words, with a blank line between documents."""
    draw = random.Random(seed)
    lines = []
    for number in range(sentences):
        lines.append(" ".join(f"w{int(draw.paretovariate(0.6)) % (VOCABULARY - 5)}" for _ in range(24)))
        if number % 20 == 19:
            lines.append("")
    path = folder / "corpus.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_spec(folder: Path, model: str, precision: str = "fp32", steps: int = 1000) -> Path:
    """A spec for pre-training one of the two models on rows of exactly 128 tokens."""
    hidden, layers, heads = MODELS[model]
    path = folder / f"{model}.yaml"
    path.write_text(
        f"""
model:
  hidden_size: {hidden}
  embedding: [word, pos: {{max_length: 512}}, seg]
  encoder: {{transformer: {{num_layers: {layers}, num_heads: {heads}}}}}
  target: [mlm, sp]
data:
  tokenizer: {{wordpiece: {{vocab: {write_vocabulary(folder)}}}}}
  processor: {{bert: {{max_length: 128, pad: max_length, short_rate: 0.0}}}}
  train: {write_corpus(folder)}
  cache: {folder / "cache"}
train:
  steps: {steps}
  batch_size: 32
  precision: {precision}
  loggers: []
"""
    )
    return path


def scratch() -> Path:
    return Path(tempfile.mkdtemp(prefix="tp-benchmark-"))


def alternating(sides: dict[str, Callable[[], None]], blocks: int) -> dict[str, float]:
    """Median seconds per block for each side. The sides alternate. A first block is a warm-up and is not counted."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for block in range(blocks + 1):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            if block:
                times[name].append(time.perf_counter() - start)
    return {name: median(values) for name, values in times.items()}


def median(values: list[float]) -> float:
    return statistics.median(values)
