"""Wraps a model so that it returns a tensor, as torch's DistributedDataParallel requires."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tp_core.model_output import ModelOutput


class LossAlone(nn.Module):
    """Returns only the loss of a model; :meth:`take` returns the rest of the output.

    DistributedDataParallel starts its work when the gradient of a returned tensor arrives. It does not look for tensors
    inside other objects.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self._output: ModelOutput | None = None

    def forward(self, batch: Any, denominators: Mapping[str, Tensor] | None) -> Tensor:
        output: ModelOutput = self.module(batch, denominators)
        self._output = output
        return output.loss

    def take(self) -> ModelOutput:
        """The output of the last loss; it can be taken once."""
        output, self._output = self._output, None
        assert output is not None
        return output


def forgo_warning() -> None:
    """Trigger torch's one-time warning about searching for unused parameters, so that it is not shown later.

    Torch prints it past Python's filters, unless a C++ function that calls Python is on the stack. Every process must
    call this at the same time.
    """
    tiny = DistributedDataParallel(nn.Linear(1, 1), find_unused_parameters=True)

    def run(value: float) -> float:
        with torch.enable_grad():
            tiny(torch.zeros(1, 1))
        return value

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.zeros(1).apply_(run)
