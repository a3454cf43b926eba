"""Weights in bf16 that compute, and their fp32 masters, which the optimizer updates (Micikevicius et al., 2018)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tp_core.model import Model


class MasterWeights:
    """The fp32 masters of a model's trained matrices, which are in bf16 from now on.

    Vectors, such as those of norms, stay in fp32: they are small, and CPUs take no norm with a mixture of precisions.

    Args:
        model: a model with values, not yet wrapped.

    Attributes:
        masters: the masters by name.
    """

    def __init__(self, model: Model) -> None:
        self._lower: dict[str, nn.Parameter] = {}
        self.masters: dict[str, nn.Parameter] = {}
        for name, weight in model.named_parameters():
            if weight.requires_grad and weight.dim() > 1 and weight.dtype == torch.float32:
                self.masters[name], self._lower[name] = nn.Parameter(weight.data), weight
                weight.data = weight.data.bfloat16()

    def in_place_of(self, group: dict[str, Any]) -> dict[str, Any]:
        """A parameter group with masters in place of weights."""
        return {**group, "params": [(name, self.masters.get(name, weight)) for name, weight in group["params"]]}

    def take_gradients(self) -> None:
        """Give the masters the gradients of the weights, which lose them."""
        for name, weight in self._lower.items():
            self.masters[name].grad = None if weight.grad is None else weight.grad.float()
            weight.grad = None

    def round(self) -> None:
        """Give the weights the values of the masters, rounded to bf16."""
        with torch.no_grad():
            torch._foreach_copy_(list(self._lower.values()), list(self.masters.values()))

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Load values of the masters by name, and round them."""
        with torch.no_grad():
            for name, master in self.masters.items():
                master.copy_(tensors[name])
        self.round()
