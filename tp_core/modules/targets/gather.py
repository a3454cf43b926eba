"""Gathering of features from all processes, with gradients that flow back to the process of each feature."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from tp_core.processes.data_parallel import data_parallel


class _Gather(torch.autograd.Function):
    """All-gather; the backward pass is a reduce-scatter, which sums each feature's gradients at its own process."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        everyone = features.new_empty((data_parallel().world_size * features.shape[0], *features.shape[1:]))
        _call("all_gather_single", "all_gather_into_tensor", everyone, features.contiguous())
        return everyone

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        own = grads[0].new_empty((grads[0].shape[0] // data_parallel().world_size, *grads[0].shape[1:]))
        _call("reduce_scatter_single", "reduce_scatter_tensor", own, grads[0].contiguous())
        return own


def _call(name: str, before: str, output: Tensor, given: Tensor) -> None:
    """Call a function of ``torch.distributed`` by its new name, or by its old name ``before`` in older versions.

    Newer versions of torch warn about the old name.
    """
    (getattr(dist, name, None) or getattr(dist, before))(output, given, group=data_parallel().group)


def gathered(features: Tensor) -> tuple[Tensor, int]:
    """The rows of all processes in the order of the processes, and the index of this process's first row.

    All processes must call this at the same time and with the same number of rows, as in training. Any dtype is
    supported.

    Args:
        features: (rows, size) of this process.

    Returns:
        (processes × rows, size), and the index of this process's first row.
    """
    place = data_parallel()
    if features.is_meta or place.world_size == 1:
        return features, 0
    everyone: Tensor = _Gather.apply(features)
    return everyone, place.rank * features.shape[0]
