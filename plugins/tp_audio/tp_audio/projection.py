"""A linear layer for heads and projections of speech models."""

from __future__ import annotations

from torch import nn


class Projection(nn.Linear):
    """``nn.Linear`` with PyTorch's own initial values, as the papers' code leaves these layers."""

    def reset_parameters(self) -> None:
        if not self.weight.is_meta:  # torch would import its compiler to draw nothing
            super().reset_parameters()
