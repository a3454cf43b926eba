"""One process, one device."""

from __future__ import annotations

from torch import nn

from tp_core.model import Model
from tp_core.training.strategies.base import Strategy, pick_device
from tp_core.training.strategies.options import SingleConfig


class SingleStrategy(Strategy):
    """The model as it is."""

    def __init__(self, config: SingleConfig) -> None:
        self.config = config

    def setup(self, device: str) -> None:
        self.device = pick_device(device)

    def wrap(self, model: Model) -> nn.Module:
        return model
