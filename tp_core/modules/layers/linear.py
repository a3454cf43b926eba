"""Linear and embedding layers whose initial standard deviation is part of the layer."""

from __future__ import annotations

from torch import nn


class Linear(nn.Linear):
    """``nn.Linear`` drawn from N(0, std); the bias starts at zero."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True, std: float = 0.02) -> None:
        self.std = std
        super().__init__(inputs, outputs, bias=bias)

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=self.std)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class Embedding(nn.Embedding):
    """``nn.Embedding`` drawn from N(0, std)."""

    def __init__(self, rows: int, size: int, std: float = 0.02) -> None:
        self.std = std
        super().__init__(rows, size)

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=self.std)
