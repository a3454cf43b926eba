"""The Lion optimizer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from tp_core.training.optimizers.base import Optimizer, locals_of


class Lion(Optimizer):
    """Lion: the sign of an interpolated momentum, decoupled weight decay (Chen et al., 2023, algorithm 2).

    Args:
        params: parameters or parameter groups.
        lr: learning rate; the paper advises a third to a tenth of AdamW's.
        betas: interpolation factor of the update's direction, and decay of the momentum.
        weight_decay: decoupled weight decay, multiplied by the learning rate.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 3e-5,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    def _update(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        beta1, beta2 = group["betas"]
        weights, momenta = locals_of(parameters), locals_of(self._kept(parameters, "exp_avg"))
        # For a skipped step, use the momentum as the gradient, which leaves the momentum unchanged.
        gradients = self._scale_gradients(parameters, instead=momenta)
        updates = torch._foreach_lerp(momenta, gradients, 1 - beta1)
        torch._foreach_sign_(updates)
        self._decay(group, weights)
        self._add(weights, list(updates), -float(group["lr"]))
        torch._foreach_lerp_(momenta, gradients, 1 - beta2)
