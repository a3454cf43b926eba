"""Linear and embedding layers whose initial standard deviation is part of the layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def draw(weight: Tensor, std: float) -> None:
    """Draw a weight from N(0, std), in place."""
    # There is nothing to draw on the meta device, and torch would import its whole compiler for it.
    if not weight.is_meta:
        nn.init.normal_(weight, std=std)


class Linear(nn.Linear):
    """``nn.Linear`` drawn from N(0, std); the bias starts at zero."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True, std: float = 0.02) -> None:
        self.std = std
        super().__init__(inputs, outputs, bias=bias)

    def reset_parameters(self) -> None:
        draw(self.weight, self.std)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class KeylessBias(Linear):
    """Projections of queries, keys and values, by key-value head, of which the keys have no bias (BEiT)."""

    def __init__(self, inputs: int, heads: int, groups: int, size: int, std: float) -> None:
        self.shape = (groups, -1, size)
        super().__init__(inputs, (heads + 2 * groups) * size, bias=False, std=std)
        self.bias = nn.Parameter(torch.empty((heads + groups) * size))

    def forward(self, states: Tensor) -> Tensor:
        rows = self.bias.view(self.shape)
        whole = torch.cat([rows[:, :-1], torch.zeros_like(rows[:, -1:]), rows[:, -1:]], dim=1)
        return F.linear(states, self.weight, whole.flatten())


class Embedding(nn.Embedding):
    """``nn.Embedding`` drawn from N(0, std)."""

    def __init__(self, rows: int, size: int, std: float = 0.02) -> None:
        self.std = std
        super().__init__(rows, size)

    def reset_parameters(self) -> None:
        draw(self.weight, self.std)
