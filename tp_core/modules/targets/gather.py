"""Features of all processes, with gradients that flow back to the process each came from."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class _Gather(torch.autograd.Function):
    """All-gather; its backward pass is a reduce-scatter: what every process has of a feature adds up at its owner."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        everyone = features.new_empty((dist.get_world_size() * features.shape[0], *features.shape[1:]))
        _call("all_gather_single", "all_gather_into_tensor", everyone, features.contiguous())
        return everyone

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        own = grads[0].new_empty((grads[0].shape[0] // dist.get_world_size(), *grads[0].shape[1:]))
        _call("reduce_scatter_single", "reduce_scatter_tensor", own, grads[0].contiguous())
        return own


def _call(name: str, before: str, output: Tensor, given: Tensor) -> None:
    """A function of torch.distributed by its name, or by the one before, of which newer versions of torch warn."""
    (getattr(dist, name, None) or getattr(dist, before))(output, given)


def gathered(features: Tensor) -> tuple[Tensor, int]:
    """The rows of all processes, of numbers of any type, in their order, and where this process's begin.

    Every process must call this at the same time with as many rows, which training batches have.

    Args:
        features: (rows, size) of this process.

    Returns:
        (processes × rows, size), and the index of this process's first row.
    """
    if features.is_meta or not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return features, 0
    everyone: Tensor = _Gather.apply(features)
    return everyone, dist.get_rank() * features.shape[0]
