"""Trains a small model of a preset for two steps under a strategy, in a process of a group.

Arguments: preset, strategy, file for the result of the first process. Each process that divides the samples trains one
of two batches; a single one trains both as micro-batches.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
import yaml

from tp_core import load_spec
from tp_core.model import build_model, meta_model
from tp_core.spec.schema import Spec
from tp_core.testing.batches import random_batch
from tp_core.training.optimizers.groups import checked_groups, parameter_groups
from tp_core.training.step import training_step

SIZES = {
    "hidden_size": 16,
    "feed_forward_size": 32,
    "num_heads": 2,
    "num_key_value_heads": 2,
    "num_layers": 2,
    "vocab_size": 61,
    "embedding_size": 8,
    "head_size": 8,
    "image_size": 32,
    "projection_size": 8,
}


def small(tree: Any) -> Any:
    """A part of a spec with small sizes and without dropout, which each strategy draws in its own order."""
    if isinstance(tree, list):
        return [small(each) for each in tree]
    if not isinstance(tree, dict):
        return tree
    made = {}
    for key, value in tree.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if number and ("dropout" in key or key in ("drop_path", "layer_drop")):
            made[key] = 0.0
        else:
            made[key] = SIZES[key] if number and key in SIZES else small(value)
    return made


def spec_of(preset: str, strategy: Any, folder: Path) -> Spec:
    model = small(load_spec(preset).dump()["model"]) | {"dropout": 0.0}
    train = {"steps": 2, "batch_size": 8, "device": "cpu", "strategy": strategy, "clip_norm": 0.5}
    train["optimizer"] = {"sgd": {"lr": 0.3}}
    file = folder / f"{preset}.yaml"
    text = yaml.safe_dump({"name": preset, "model": model, "train": train})
    if not file.exists() or file.read_text() != text:
        file.write_text(text)
    return load_spec(file)


def main(preset: str, strategy: str, result: str) -> None:
    spec = spec_of(preset, json.loads(strategy), Path(result).parent)
    made = spec.train.strategy.config.build()
    made.setup(spec.train.options)
    plain, model = build_model(spec, seed=1), meta_model(spec)
    batches = [random_batch(plain, [7, 5, 4, 6], seed=10), random_batch(plain, [3, 8, 8, 8], seed=20)]
    made.place(model, 1)
    module = made.wrap(model)
    config = spec.train.optimizer.config
    made.make_optimizer(config, checked_groups(model, parameter_groups(model, config)))
    sharing, losses, norms = made.data_parallel, [], []
    for step in range(2):
        own = batches if sharing.world_size == 1 else [batches[sharing.rank]]
        torch.manual_seed(step)
        found = training_step(model, module, made, own, 0.3)
        losses.append(float(sharing.all_reduce(found.loss.clone())))
        norms.append(float(found.norm))
    weights = made.model_state(model)
    if made.rank == 0:
        torch.save({"losses": losses, "norms": norms, "weights": weights}, result)
    made.processes.barrier()
    made.teardown()


if __name__ == "__main__":
    main(*sys.argv[1:])
