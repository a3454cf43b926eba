"""One process, one device."""

from __future__ import annotations

from tp_core.training.strategies.base import Strategy
from tp_core.training.strategies.options import SingleConfig


class SingleStrategy(Strategy):
    """The model as it is."""

    def __init__(self, config: SingleConfig) -> None:
        super().__init__()
        self.config = config
