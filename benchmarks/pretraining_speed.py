"""Pre-training speed on this machine's CPU: a tp training step and a plain transformers loop.

Both sides train the same architecture on the same batches of 32 × 128 (masked language model at 15 % plus sentence
prediction, AdamW). The transformers side is a typical user's loop: ``BertForPreTraining`` with SDPA, and labels of -100
at unmasked positions. Its batches are prepared in advance and not timed. The tp side is the trainer's whole step:
loading, masking, collating, forward, backward, clipping, update, metrics. The sides alternate in blocks.

    python benchmarks/pretraining_speed.py [--models tiny mini] [--blocks 5] [--steps 8]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import BertConfig, BertForPreTraining

from common import VOCABULARY, alternating, scratch, write_spec
from tp_core import load_spec
from tp_core.data.build import build_tokenizer
from tp_core.hookspecs import hook_manager
from tp_core.interfaces import IGNORE, Batch
from tp_core.model import meta_model
from tp_core.spec.schema import Spec
from tp_core.training.contents import run_contents
from tp_core.training.data import data_sets
from tp_core.training.strategies.options import SingleConfig
from tp_core.training.strategies.single import SingleStrategy
from tp_core.training.trainer import Trainer


def tp_trainer(spec: Spec, folder: Path) -> Trainer:
    strategy = SingleStrategy(SingleConfig())
    strategy.setup(spec.train.options.model_copy(update={"device": "cpu"}))
    contents = run_contents(spec, lambda _: None)
    sets, evaluator = data_sets(spec, build_tokenizer(spec), contents, strategy.processes, lambda _: None)
    model = meta_model(spec)
    strategy.place(model, spec.train.options.seed)
    return Trainer(spec, folder, model, strategy, sets, evaluator, hook_manager(), contents)


def transformers_step(spec: Spec) -> Callable[[Batch], None]:
    encoder = spec.model.streams[""].encoder.config
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=encoder.hidden_size,
        num_hidden_layers=encoder.num_layers,
        num_attention_heads=encoder.num_heads,
        intermediate_size=4 * encoder.hidden_size,
        attn_implementation="sdpa",
    )
    model = BertForPreTraining(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step(batch: Batch) -> None:
        ids = batch.inputs["input_ids"]
        labels = torch.full_like(ids, IGNORE)
        rows = torch.arange(len(ids)).unsqueeze(1).expand_as(batch.labels["mlm"]["positions"])
        counted = batch.labels["mlm"]["labels"] != IGNORE
        labels[rows[counted], batch.labels["mlm"]["positions"][counted]] = batch.labels["mlm"]["labels"][counted]
        output = model(
            input_ids=ids,
            attention_mask=batch.inputs.get("attention_mask", torch.ones_like(ids)),
            token_type_ids=batch.inputs["token_type_ids"],
            labels=labels,
            next_sentence_label=batch.labels["sp"]["labels"],
        )
        output.loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def measure(model: str, blocks: int, steps: int) -> None:
    folder = scratch()
    sides: dict[str, Callable[[], None]] = {}
    for precision in ("fp32", "bf16"):
        spec = load_spec(write_spec(folder, model, precision))
        trainer = tp_trainer(spec, folder)
        batches = trainer.batches()

        def run(trainer: Trainer = trainer, batches=batches) -> None:  # type: ignore[no-untyped-def]
            for _ in range(steps):
                trainer.train_step(next(batches))

        sides[f"tp {precision}"] = run
    source = trainer.batches()
    ready = [next(source)[0] for _ in range(steps)]
    step = transformers_step(spec)

    def plain() -> None:
        for batch in ready:
            step(batch)

    sides["transformers fp32"] = plain
    times = alternating(sides, blocks)
    tokens = steps * 32 * 128
    base = times["transformers fp32"]
    print(f"BERT-{model}, {torch.get_num_threads()} threads, medians of {blocks} blocks of {steps} steps")
    for name, seconds in times.items():
        print(f"  {name:<18} {tokens / seconds:>9,.0f} tokens/s   {base / seconds:5.2f} x transformers")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="+", default=["tiny", "mini"])
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8)
    options = parser.parse_args()
    for name in options.models:
        measure(name, options.blocks, options.steps)
