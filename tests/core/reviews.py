"""Tiny projects that classify texts, for tests of sweeps and of several models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.core import runs

#: Half of the words speak for each class.
HALF = len(runs.WORDS) // 2


def write_table(path: Path, count: int, seed: int = 0) -> Path:
    """Reviews, most of whose words are those of their class; two of each author."""
    rng = np.random.default_rng(seed)
    rows = ["label\tauthor\ttext_a"]
    for number in range(count):
        label = int(rng.integers(2))
        own = rng.random(rng.integers(3, 9)) < 0.8
        words = [runs.WORDS[int(rng.integers(HALF)) + HALF * (label if each else 1 - label)] for each in own]
        rows.append(f"{['bad', 'good'][label]}\tauthor {number // 2}\t{' '.join(words)}")
    path.write_text("\n".join([*rows, ""]))
    return path


def write_project(folder: Path, count: int = 60, **train: Any) -> Path:
    """A folder with ``train.tsv``, ``test.tsv``, ``vocab.txt`` and ``spec.yaml``.

    Args:
        train: keys of ``train:``, over the defaults here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / "train.tsv", count)
    write_table(folder / "test.tsv", 20, seed=1)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in [*runs.SPECIAL, *runs.WORDS]))
    spec: dict[str, Any] = {
        "name": "reviews",
        "model": {
            "hidden_size": 8,
            "embedding": ["word"],
            "encoder": "identity",
            "target": [{"cls": {"num_labels": 2, "pooling": "mean"}}],
        },
        "data": {
            "tokenizer": {"space": {"vocab": "vocab.txt"}},
            "processor": {"cls": {"labels": ["bad", "good"], "max_length": 16}},
            "train": "train.tsv",
            "eval": "test.tsv",
            "cache": "cache",
        },
        "train": {
            "steps": 10,
            "batch_size": 8,
            "log_every": 5,
            "loggers": [],
            "optimizer": {"adamw": {"lr": 0.05}},
            "schedule": "constant",
            **train,
        },
    }
    runs.write_spec(folder, spec)
    return folder
