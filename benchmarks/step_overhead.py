"""The part of a training step that is neither model nor optimizer: loading, masking, collating, counting, logging.

Two sides take turns: the steps of a trainer, with all that is around them, and the public ``training_step`` alone on
batches that are ready.

    python benchmarks/step_overhead.py [--model mini] [--steps 10] [--blocks 5]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from common import alternating, scratch, write_spec
from pretraining_speed import tp_trainer
from tp_core import load_spec
from tp_core.training.step import training_step


def main(model: str, steps: int, blocks: int) -> None:
    folder = scratch()
    spec = load_spec(
        write_spec(folder, model),
        ["train.log_every=10", "train.checkpoint_every=null", f"train.steps={4 * steps * (blocks + 2)}"],
    )
    trainer = tp_trainer(spec, folder)
    trainer.speed.start()
    source = trainer.batches()
    ready = [next(source) for _ in range(steps)]

    def whole() -> None:
        for _ in range(steps):
            trainer.train_step(next(source))
            trainer.after_step()

    def alone() -> None:
        for batches in ready:
            training_step(trainer.model, trainer.module, trainer.strategy, batches, trainer.lr)

    sides: dict[str, Callable[[], None]] = {"trainer": whole, "training_step": alone}
    times = alternating(sides, blocks)
    print(f"BERT-{model}, medians of {blocks} blocks of {steps} steps")
    for name, seconds in times.items():
        print(f"  {name:<20} {seconds / steps * 1000:7.2f} ms a step")
    print(f"  outside of training_step: {1 - times['training_step'] / times['trainer']:.2%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="mini")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--blocks", type=int, default=5)
    options = parser.parse_args()
    main(options.model, options.steps, options.blocks)
