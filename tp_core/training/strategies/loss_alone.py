"""A model as torch's DistributedDataParallel has to see it: its result is a tensor."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tp_core.model_output import ModelOutput


class LossAlone(nn.Module):
    """Gives the loss of a model alone, and keeps the rest of its output for :meth:`take`.

    DistributedDataParallel begins its work where the gradient of a tensor arrives that the module has given back. It
    does not look for tensors inside other objects.
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
        """The output that the last loss belongs to, once."""
        output, self._output = self._output, None
        assert output is not None
        return output


def forgo_warning() -> None:
    """Use up a warning that torch gives once in a process: that it looks for unused parameters and finds none.

    It is printed past Python's filters, unless a function that is written in C++ and calls Python is on the stack.
    Every process must call this at the same time.
    """
    tiny = DistributedDataParallel(nn.Linear(1, 1), find_unused_parameters=True)

    def run(value: float) -> float:
        with torch.enable_grad():
            tiny(torch.zeros(1, 1))
        return value

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.zeros(1).apply_(run)
