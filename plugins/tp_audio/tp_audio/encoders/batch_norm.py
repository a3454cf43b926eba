"""Batch norm over the real positions of a batch, synchronised over all training processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tp_core.modules.targets.gather import gathered


class MaskedBatchNorm(nn.BatchNorm1d):
    """``nn.BatchNorm1d`` (Ioffe & Szegedy, 2015) of states (batch, length, size), without padding.

    In training, the statistics cover the batches of all processes. The number of processes thus makes no difference.
    """

    frozen = False  # True: do not update the running statistics

    def forward(self, states: Tensor, mask: Tensor | None) -> Tensor:  # type: ignore[override]
        """Normalise the states; the shape stays the same.

        Args:
            states: (batch, length, size).
            mask: (batch, length), True at real positions; None if there is no padding.
        """
        wide = states.float()
        mean, variance = self.running_mean, self.running_var
        if self.training:
            real = torch.ones_like(wide[..., :1]) if mask is None else mask.unsqueeze(-1).float()
            count, mean, variance = _statistics(wide, real)
            if not self.frozen:
                self._remember(mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
        assert mean is not None
        assert variance is not None
        normal = (wide - mean) * torch.rsqrt(variance + self.eps)
        return (normal * self.weight + self.bias).to(states.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1


def _statistics(states: Tensor, real: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Number of real positions, mean and variance (size,) over the batches of all processes.

    Args:
        states: (batch, length, size).
        real: (batch, length, 1), 1 at real positions, else 0.
    """
    count = real.sum().clamp(min=1)
    mean = (states * real).sum(dim=(0, 1)) / count
    deviations = ((states - mean).square() * real).sum(dim=(0, 1))
    everyone, _ = gathered(torch.cat([real.sum()[None], mean, deviations])[None])
    if len(everyone) == 1:
        return count, mean, deviations / count
    # Chan et al. (1979): the deviations within each part, plus the deviations of the parts' means from the common mean.
    counts, means, parts = torch.split(everyone, [1, len(mean), len(mean)], dim=1)
    counts = counts.detach()
    count = counts.sum().clamp(min=1)
    mean = (counts * means).sum(dim=0) / count
    return count, mean, (parts + counts * (means - mean).square()).sum(dim=0) / count


@contextmanager
def frozen_statistics(module: nn.Module) -> Iterator[None]:
    """Freeze the running statistics, so that a batch is not counted again when its activations are recomputed."""
    norms = [part for part in module.modules() if isinstance(part, MaskedBatchNorm)]
    for norm in norms:
        norm.frozen = True
    try:
        yield
    finally:
        for norm in norms:
            norm.frozen = False
