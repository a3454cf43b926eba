"""Strategies: how a model is spread over processes and devices."""

from __future__ import annotations

from tp_core.errors import TPError
from tp_core.launch import as_told, launch
from tp_core.spec.schema_common import Chosen
from tp_core.training.config import DdpConfig, StrategyConfig
from tp_core.training.strategies.base import Strategy
from tp_core.training.strategies.ddp import DdpStrategy
from tp_core.training.strategies.single import SingleStrategy


def build_strategy(chosen: Chosen[StrategyConfig]) -> Strategy:
    """The strategy that a spec names; ``auto`` is ``ddp`` under torchrun with several processes.

    Raises:
        TPError: ``single``, and several processes were started.
    """
    if isinstance(chosen.config, DdpConfig):
        return DdpStrategy(chosen.config)
    here = launch()
    if here.world_size == 1:
        return SingleStrategy()
    if chosen.name == "auto":
        return DdpStrategy(DdpConfig())
    message = f"train.strategy: single is for one process, and WORLD_SIZE says that there are {here.world_size}"
    raise as_told(TPError(message))


__all__ = ["DdpStrategy", "SingleStrategy", "Strategy", "build_strategy"]
