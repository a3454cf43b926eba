"""Overhead of a training step outside model and optimizer: loading, masking, collating, metrics, logging.

Both figures come from the same steps of one trainer: the wall-clock time of the whole step, and the part of it in
forward, backward and update.

    python benchmarks/step_overhead.py [--model mini] [--steps 40]
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from common import scratch, write_spec
from pretraining_speed import tp_trainer
from tp_core import load_spec


def main(model: str, steps: int, warmup: int = 5) -> None:
    folder = scratch()
    spec = load_spec(
        write_spec(folder, model),
        ["train.log_every=10", "train.checkpoint_every=null", f"train.steps={steps + warmup}"],
    )
    trainer = tp_trainer(spec, folder)
    inside = 0.0

    def timed(function: Any) -> Any:
        def call(*arguments: Any, **keywords: Any) -> Any:
            nonlocal inside
            start = time.perf_counter()
            result = function(*arguments, **keywords)
            inside += time.perf_counter() - start
            return result

        return call

    trainer.strategy.forward_backward = timed(trainer.strategy.forward_backward)  # type: ignore[method-assign]
    update = trainer.update
    trainer.update = timed(update)  # type: ignore[assignment]
    trainer.update.scale = update.scale  # type: ignore[attr-defined]
    trainer.speed.start()
    start = 0.0
    for number, batches in enumerate(trainer._batches()):
        if number == warmup:
            inside, start = 0.0, time.perf_counter()
        trainer._train_step(batches)
        if trainer.step < trainer.total_steps:  # the last step would save a checkpoint
            trainer._after_step()
    whole = time.perf_counter() - start
    print(f"BERT-{model}, {steps} steps: {whole / steps * 1000:.1f} ms per step, {inside / steps * 1000:.1f} ms of it")
    print(f"in model and optimizer; outside: {(whole - inside) / whole:.2%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="mini")
    parser.add_argument("--steps", type=int, default=40)
    options = parser.parse_args()
    main(options.model, options.steps)
