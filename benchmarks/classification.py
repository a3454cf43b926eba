"""A BERT-tiny classifier from scratch on a real task: mean accuracy over seeds, and whole-process time.

    python benchmarks/classification.py FOLDER VOCAB [--seeds 1 2 3] [SETTING ...]

FOLDER contains train.tsv, dev.tsv and test.tsv with the columns ``label`` and ``text_a`` (the usual form of
ChnSentiCorp). VOCAB is a word-piece vocabulary. The settings are those of the original toolkit: post-norm, first-token
pooling with a tanh layer, AdamW, lr 3e-4, linear schedule with 10 % warm-up, batch size 32, 128 tokens, 3 epochs, best
epoch on the dev file. Each seed runs one ``tp train`` process (training, three evaluations, export), then one
``tp evaluate`` process on the test file. Seeds share no cache. The original toolkit reached the reference figures on a
machine with 2 cores: 0.8850, 0.8783 and 0.8883 in 256 s each.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from common import scratch

REFERENCE_ACCURACY, REFERENCE_SECONDS = 0.8839, 256.0


def main(folder: Path, vocab: Path, seeds: list[int], settings: list[str]) -> None:
    work = scratch()
    spec = work / "classifier.yaml"
    spec.write_text(
        f"""
extends: bert-tiny
model:
  target: [cls: {{num_labels: 2, dropout: 0.0}}]
data:
  tokenizer: {{wordpiece: {{vocab: {vocab.resolve()}}}}}
  processor: {{cls: {{max_length: 128}}}}
  train: {folder.resolve() / "train.tsv"}
  eval: {folder.resolve() / "dev.tsv"}
train:
  epochs: 3
  batch_size: 32
  clip_norm: null
  optimizer: {{adamw: {{lr: 3e-4, bias_correction: false}}}}
  schedule: {{linear: {{warmup: 0.1}}}}
  precision: bf16
  log_every: 100
  eval_every: 300
  eval_batch_size: 64
  early_stopping: {{metric: cls/accuracy, patience: 10}}
  loggers: []
"""
    )
    accuracies, seconds = [], []
    for seed in seeds:
        run = work / f"seed{seed}"
        start = time.perf_counter()
        command = [sys.executable, "-m", "tp_core"]
        cache = f"data.cache={work / f'cache{seed}'}"
        train = [*command, "train", str(spec), f"train.seed={seed}", cache, *settings, "--run", str(run)]
        subprocess.run(train, check=True, stdout=subprocess.DEVNULL)
        test = [*command, "evaluate", str(run), "--data", str(folder / "test.tsv"), "--json"]
        found = json.loads(subprocess.run(test, check=True, stdout=subprocess.PIPE, text=True).stdout)
        seconds.append(time.perf_counter() - start)
        accuracies.append(found["cls/accuracy"])
        print(f"seed {seed}: test accuracy {accuracies[-1]:.4f} in {seconds[-1]:.0f} s", flush=True)
    accuracy, time_taken = sum(accuracies) / len(seeds), sum(seconds) / len(seeds)
    print(f"mean accuracy {accuracy:.4f} ({accuracy - REFERENCE_ACCURACY:+.4f} to the reference)")
    print(f"mean time     {time_taken:.0f} s (ratio to the reference: {time_taken / REFERENCE_SECONDS:.2f})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("vocab", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("settings", nargs="*", default=[])
    options = parser.parse_args()
    main(options.folder, options.vocab, options.seeds, options.settings)
