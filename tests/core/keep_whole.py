"""A hook that writes down the weights that each process has whole, at the end."""

from __future__ import annotations

from typing import Any

import torch

from tp_core import HooksConfig, hookimpl


class Keep:
    @hookimpl
    def tp_train_end(self, trainer: Any) -> None:
        whole = {name: p.detach() for name, p in trainer.model.named_parameters() if not hasattr(p, "to_local")}
        torch.save(whole, f"whole-{trainer.strategy.rank}.pt")


class Config(HooksConfig):
    def build(self) -> Keep:
        return Keep()
