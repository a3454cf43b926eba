"""One process, one device."""

from __future__ import annotations

from tp_core.training.strategies.base import Strategy
from tp_core.training.strategies.options import SingleConfig


class SingleStrategy(Strategy):
    """Keeps the model unchanged on one device."""

    def __init__(self, config: SingleConfig) -> None:
        super().__init__()
        self.config = config
