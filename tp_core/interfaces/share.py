"""The share of one of several processes that compute each sample together (tensor parallelism)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor


class Share:
    """One of several equal parts of a module's computation.

    Attributes:
        index: number of this process among those that compute a sample together.
        count: number of these processes.
    """

    def __init__(self, index: int, count: int, group: Any) -> None:
        self.index, self.count, self._group = index, count, group

    def of(self, size: int, name: str) -> int:
        """The part of a size that this process computes.

        Raises:
            ValueError: the processes cannot divide it into equal parts.
        """
        if size % self.count:
            raise ValueError(f"{size} {name} cannot be divided among {self.count} processes")
        return size // self.count

    def cut(self, values: Tensor, dim: int) -> Tensor:
        """This process's part of values that every process has; the gradient is that of all parts."""
        found: Tensor = _Cut.apply(values, dim, self)
        return found

    @contextlib.contextmanager
    def own_random_numbers(self, device: torch.device) -> Iterator[None]:
        """A context with random numbers of this process, for dropout of what processes have divided.

        Outside of it, the processes draw the same numbers, as each of them has the same states.
        """
        seed = int(torch.randint(2**62, ()).item())  # of the host's generator, which needs no device
        devices = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(seed + self.index)
            yield


def own_random_numbers(share: Share | None, device: torch.device) -> AbstractContextManager[None]:
    """The context of :meth:`Share.own_random_numbers`; without a share, a context that changes nothing."""
    return contextlib.nullcontext() if share is None else share.own_random_numbers(device)


class _Cut(torch.autograd.Function):
    """Cuts values; the backward pass joins the gradients of all parts."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, dim: int, share: Share) -> Tensor:
        ctx.dim, ctx.share = dim, share
        size = values.shape[dim] // share.count
        return values.narrow(dim, share.index * size, size).clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        import torch.distributed as dist

        share: Share = ctx.share
        parts = [torch.empty_like(grads[0]) for _ in range(share.count)]
        dist.all_gather(parts, grads[0].contiguous(), group=share._group)
        return torch.cat(parts, dim=ctx.dim), None, None
