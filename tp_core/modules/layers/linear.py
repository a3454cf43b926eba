"""Linear and embedding layers that store the standard deviation of their initial weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def draw(weight: Tensor, std: float) -> None:
    """Fill a weight in place with values from N(0, std)."""
    # On the meta device there are no values, and the call would make torch import its compiler.
    if not weight.is_meta:
        nn.init.normal_(weight, std=std)


class Linear(nn.Linear):
    """``nn.Linear`` with weights drawn from N(0, std) and a zero bias."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True, std: float = 0.02) -> None:
        self.std = std
        super().__init__(inputs, outputs, bias=bias)

    def reset_parameters(self) -> None:
        draw(self.weight, self.std)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class KeylessBias(Linear):
    """The projection of queries, keys and values, arranged by key-value head, in which keys have no bias (BEiT)."""

    def __init__(self, inputs: int, heads: int, groups: int, size: int, std: float) -> None:
        self.shape = (groups, -1, size)
        super().__init__(inputs, (heads + 2 * groups) * size, bias=False, std=std)
        self.bias = nn.Parameter(torch.empty((heads + groups) * size))

    def forward(self, states: Tensor) -> Tensor:
        rows = self.bias.view(self.shape)
        whole = torch.cat([rows[:, :-1], torch.zeros_like(rows[:, -1:]), rows[:, -1:]], dim=1)
        return F.linear(states, self.weight, whole.flatten())


class Embedding(nn.Embedding):
    """``nn.Embedding`` with weights drawn from N(0, std)."""

    def __init__(self, rows: int, size: int, std: float = 0.02) -> None:
        self.std = std
        super().__init__(rows, size)

    def reset_parameters(self) -> None:
        draw(self.weight, self.std)
