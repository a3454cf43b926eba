"""Fine-tuning speed on texts of real lengths: tp's training loop and the ``Trainer`` of transformers.

Both sides fine-tune a sequence classifier of the same architecture on the same texts: batches of 32, at most 128
tokens, padded to the longest text of the batch, AdamW, linear schedule with warm-up, clipping by norm 1, in fp32 or
bf16 (autocast) on this machine's CPU. The transformers side is ``Trainer`` with ``DataCollatorWithPadding`` and texts
that are tokenized in advance; only its training loop is timed, from its first step to its last. The tp side is the
trainer's loop with prepared rows: loading, collating, forward, backward, clipping, update, metrics. The sides alternate
in blocks.

    python benchmarks/finetuning_speed.py TRAIN VOCAB [--models tiny mini] [--precision fp32] [--group-by-length]

TRAIN is a TSV file with the columns ``label`` and ``text_a``, such as that of ChnSentiCorp. VOCAB is a word-piece
vocabulary. With ``--group-by-length``, both sides put texts of similar length into a batch. It needs ``accelerate``.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertTokenizerFast,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from common import MODELS, median, scratch
from pretraining_speed import tp_trainer
from tp_core import load_spec


def write_spec(folder: Path, model: str, train: Path, vocab: Path, steps: int, precision: str, bucket: bool) -> Path:
    hidden, layers, heads = MODELS[model]
    path = folder / f"{model}.yaml"
    path.write_text(
        f"""
model:
  hidden_size: {hidden}
  embedding: [word, pos: {{max_length: 512}}, seg]
  encoder: {{transformer: {{num_layers: {layers}, num_heads: {heads}}}}}
  target: [cls: {{num_labels: 2}}]
data:
  tokenizer: {{wordpiece: {{vocab: {vocab.resolve()}}}}}
  processor: {{cls: {{max_length: 128}}}}
  train: {train.resolve()}
  cache: {folder / "cache"}
{"  bucket: 50" if bucket else ""}
train:
  steps: {steps}
  batch_size: 32
  precision: {precision}
  clip_norm: 1.0
  optimizer: {{adamw: {{lr: 5e-5, weight_decay: 0.01}}}}
  schedule: {{linear: {{warmup: 0.1}}}}
  log_every: 50
  loggers: []
"""
    )
    return path


class Clock(TrainerCallback):
    """Measures the time of a training loop."""

    seconds = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.started = time.perf_counter()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self.seconds = time.perf_counter() - self.started


def transformers_side(
    folder: Path, model: str, train: Path, vocab: Path, steps: int, precision: str, grouped: bool
) -> Callable[[], float]:
    hidden, layers, heads = MODELS[model]
    tokenizer = BertTokenizerFast(vocab=str(vocab), do_lower_case=True)
    with train.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    encoded = tokenizer([row["text_a"] for row in rows], truncation=True, max_length=128)
    labels = [int(row["label"]) for row in rows]
    data = [
        {**{name: encoded[name][number] for name in encoded}, "labels": label} for number, label in enumerate(labels)
    ]
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * hidden,
        num_labels=2,
        attn_implementation="sdpa",
    )
    arguments = TrainingArguments(
        output_dir=str(folder / "transformers"),
        per_device_train_batch_size=32,
        max_steps=steps,
        learning_rate=5e-5,
        weight_decay=0.01,
        warmup_steps=steps // 10,
        logging_steps=50,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        bf16=precision == "bf16",
        disable_tqdm=True,
        train_sampling_strategy="group_by_length" if grouped else "random",
    )
    network = BertForSequenceClassification(config)

    def run() -> float:
        clock = Clock()
        trainer = Trainer(
            network, arguments, DataCollatorWithPadding(tokenizer), data, processing_class=tokenizer, callbacks=[clock]
        )
        trainer.train()
        return clock.seconds

    return run


def measure(model: str, train: Path, vocab: Path, blocks: int, steps: int, precision: str, grouped: bool) -> None:
    folder = scratch()
    spec = load_spec(write_spec(folder, model, train, vocab, (blocks + 1) * steps, precision, grouped))
    trainer = tp_trainer(spec, folder)
    batches = trainer.batches()

    def ours() -> float:
        start = time.perf_counter()
        for _ in range(steps):
            trainer.train_step(next(batches))
        return time.perf_counter() - start

    sides = {
        "tp": ours,
        "transformers Trainer": transformers_side(folder, model, train, vocab, steps, precision, grouped),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for block in range(blocks + 1):
        for name, side in sides.items():
            seconds = side()
            if block:  # the first block is a warm-up
                times[name].append(seconds)
    base = median(times["transformers Trainer"])
    print(f"BERT-{model}, {torch.get_num_threads()} threads, {precision}, medians of {blocks} blocks of {steps} steps")
    for name, values in times.items():
        samples = steps * 32 / median(values)
        print(f"  {name:<22} {samples:>8,.1f} texts/s   {base / median(values):5.2f} x transformers Trainer")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("train", type=Path)
    parser.add_argument("vocab", type=Path)
    parser.add_argument("--models", nargs="+", default=["tiny", "mini"])
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--group-by-length", action="store_true")
    given = parser.parse_args()
    for name in given.models:
        measure(name, given.train, given.vocab, given.blocks, given.steps, given.precision, given.group_by_length)
