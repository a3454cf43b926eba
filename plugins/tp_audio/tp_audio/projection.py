"""A linear layer for the heads and projections of speech models."""

from __future__ import annotations

from torch import nn


class Projection(nn.Linear):
    """``nn.Linear`` with PyTorch's default initialisation, as in the papers' code."""

    def reset_parameters(self) -> None:
        if not self.weight.is_meta:  # on the meta device, torch would import its compiler for nothing
            super().reset_parameters()
