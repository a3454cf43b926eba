"""Stochastic gradient descent with torch's fused kernel and decoupled weight decay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor
from torch.optim.sgd import sgd

from tp_core.training.optimizers.base import Optimizer, fusible, local, locals_of


class Sgd(Optimizer):
    """SGD with momentum and decoupled weight decay (SGDW; Loshchilov & Hutter, 2019, algorithm 1).

    Momentum is torch's: gradients are summed, and the sum is multiplied by the current learning rate. In the paper,
    each gradient is multiplied by the learning rate of its own step. The weight decay does not enter the momentum.

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        momentum: decay factor of the sum of earlier gradients.
        nesterov: True for Nesterov momentum (Sutskever et al., 2013).
        weight_decay: decoupled weight decay, multiplied by the learning rate.
        fused: True to use torch's fused kernel; None: if it supports all parameters.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.01,
        momentum: float = 0.9,
        nesterov: bool = False,
        weight_decay: float = 0.01,
        fused: bool | None = None,
    ) -> None:
        params = [*params]
        fused = fusible(params) if fused is None else fused
        options = {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
        super().__init__(params, {**options, "fused": fused}, unread=fused)

    def _update(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        weights = locals_of(parameters)
        self._decay(group, weights)
        sums: list[Tensor | None] = [None] * len(weights)
        if group["momentum"]:  # torch's own buffers start uninitialised, and stay so if the first step is skipped
            sums = [*locals_of(self._kept(parameters, "momentum_buffer"))]
        sgd(
            weights,
            [local(parameter.grad) for parameter in parameters],
            sums,
            fused=group["fused"],
            foreach=not group["fused"],
            grad_scale=self.grad_scale,
            found_inf=self._flag,
            weight_decay=0.0,
            momentum=group["momentum"],
            lr=float(group["lr"]),
            dampening=0.0,
            nesterov=group["nesterov"],
            maximize=False,
        )
