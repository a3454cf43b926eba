"""Hooks for test projects: the embedding in a parameter group of its own, and the groups' rates in ``rates.jsonl``."""

from __future__ import annotations

import json
from typing import Any

from tp_core.hookspecs import hookimpl
from tp_core.options.hooks import HooksConfig


class Config(HooksConfig):
    """Give the embedding a learning rate and a weight decay of its own."""

    lr: float = 0.004
    weight_decay: float = 0.5
    last: bool = True

    def build(self) -> object:
        return OwnGroups(self)


class OwnGroups:
    def __init__(self, config: Config) -> None:
        self.config = config

    @hookimpl
    def tp_parameter_groups(self, model: Any, groups: list[dict[str, Any]]) -> None:
        own = list(model.embedding.parameters())
        ids = {id(parameter) for parameter in own}
        for group in groups:
            group["params"] = [parameter for parameter in group["params"] if id(parameter) not in ids]
        mine = {"params": own, "lr": self.config.lr, "weight_decay": self.config.weight_decay}
        groups.insert(len(groups) if self.config.last else 0, mine)

    @hookimpl
    def tp_step_end(self, trainer: Any, step: int) -> None:
        rates = {group["weight_decay"]: group["lr"] for group in trainer.optimizer.param_groups}
        with open(trainer.run / "rates.jsonl", "a") as file:
            file.write(json.dumps({"step": step, "lr": trainer.lr, "groups": rates}) + "\n")
