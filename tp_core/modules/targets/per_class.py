"""Numbers per class that are not trained."""

from __future__ import annotations

import torch
from torch import Tensor

from tp_core.interfaces.components import Module


class PerClass(Module):
    """A buffer with one number per class.

    Args:
        numbers: the initial values.
        saved: True if the values may change, so that they are saved with the weights.

    Attributes:
        values: (classes,) float32.
    """

    values: Tensor

    def __init__(self, numbers: list[float], saved: bool) -> None:
        super().__init__()
        self.numbers = numbers
        self.register_buffer("values", torch.empty(len(numbers)), persistent=saved)

    def reset_parameters(self) -> None:
        self.values.copy_(torch.tensor(self.numbers))
