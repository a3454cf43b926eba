"""Strategies: how a model is spread over processes and devices."""

from __future__ import annotations

from tp_core.spec.schema_common import Chosen
from tp_core.training.config import DdpConfig, StrategyConfig
from tp_core.training.strategies.base import Strategy, environment
from tp_core.training.strategies.ddp import DdpStrategy
from tp_core.training.strategies.single import SingleStrategy


def build_strategy(chosen: Chosen[StrategyConfig]) -> Strategy:
    """The strategy that a spec names; ``auto`` is ``ddp`` under torchrun with several processes."""
    if isinstance(chosen.config, DdpConfig):
        return DdpStrategy(chosen.config)
    if chosen.name == "auto" and environment("WORLD_SIZE", 1) > 1:
        return DdpStrategy(DdpConfig())
    return SingleStrategy()


__all__ = ["DdpStrategy", "SingleStrategy", "Strategy", "build_strategy"]
