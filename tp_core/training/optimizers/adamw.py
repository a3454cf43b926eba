"""AdamW with torch's fused kernel, with optional bias correction."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from tp_core.training.optimizers.base import Optimizer, fusible, local, locals_of


class AdamW(Optimizer):
    """AdamW (Loshchilov & Hutter, 2019, algorithm 2); without bias correction, the optimizer of BERT.

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        betas: decay of the moving averages of gradients and of squared gradients.
        eps: value added to the root of the average of squares.
        weight_decay: decoupled weight decay, multiplied by the learning rate.
        bias_correction: True to correct the moving averages for their start at zero.
        fused: True to use torch's fused kernel; None: if it supports all parameters.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        bias_correction: bool = True,
        fused: bool | None = None,
    ) -> None:
        params = [*params]
        fused = fusible(params) if fused is None else fused
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**options, "bias_correction": bias_correction, "fused": fused}, unread=fused)

    def _update(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        steps = counted = self._steps(parameters)
        if not group["bias_correction"]:
            # An infinite step count disables the correction; torch adds one to it, which keeps it infinite.
            counted = [torch.full_like(steps[0], math.inf)] * len(steps)
            self._count(steps)
        beta1, beta2 = group["betas"]
        adamw(
            locals_of(parameters),
            [local(parameter.grad) for parameter in parameters],
            locals_of(self._kept(parameters, "exp_avg")),
            locals_of(self._kept(parameters, "exp_avg_sq")),
            [],
            counted,
            fused=group["fused"],
            grad_scale=self.grad_scale,
            found_inf=self._flag,
            has_complex=any(parameter.is_complex() for parameter in parameters),
            amsgrad=False,
            beta1=beta1,
            beta2=beta2,
            lr=float(group["lr"]),
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )
