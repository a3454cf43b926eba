"""A hook that writes down what a process holds at the start, and the whole weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from tp_core import HooksConfig, hookimpl


class Parts:
    @hookimpl
    def tp_train_start(self, trainer: Any) -> None:
        if trainer.step or (Path("parts-0.json").exists() and trainer.strategy.world_size == 1):
            return
        rank, strategy = trainer.strategy.rank, trainer.strategy
        own = [(getattr(p, "to_local", lambda p=p: p)().numel(), p.numel()) for p in trainer.model.parameters()]
        Path(f"parts-{rank}.json").write_text(json.dumps(sum(n for n, _ in own) / sum(n for _, n in own)))
        weights = strategy.model_state(trainer.model)  # whole on the first process
        if rank == 0:
            save_file({name: value.clone() for name, value in weights.items()}, "initial.safetensors")


class PartsConfig(HooksConfig):
    def build(self) -> Parts:
        return Parts()
