"""The optimizer ``acme.adan``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch


class Adan(torch.optim.Optimizer):
    """Adan (Xie et al., 2022, algorithm 1) with bias correction.

    Args:
        params: parameter groups with ``lr``, ``betas``, ``eps`` and ``weight_decay``.
    """

    def __init__(self, params: Iterable[dict[str, Any]]) -> None:
        super().__init__(params, {})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, weight: torch.Tensor, gradient: torch.Tensor, group: dict[str, Any]) -> None:
        state, (beta1, beta2, beta3) = self.state[weight], group["betas"]
        if not state:
            zero = torch.zeros_like(weight)
            # At the first step, the difference of gradients is zero.
            state |= {"step": 0, "mean": zero, "change": zero.clone(), "square": zero.clone()}
            state["before"] = gradient.clone()
        state["step"] += 1
        difference = gradient - state["before"]
        state["before"].copy_(gradient)
        state["mean"].lerp_(gradient, 1 - beta1)
        state["change"].lerp_(difference, 1 - beta2)
        ahead = gradient + beta2 * difference
        state["square"].mul_(beta3).addcmul_(ahead, ahead, value=1 - beta3)

        mean, change, square = (
            state[name] / (1 - beta ** state["step"])
            for name, beta in (("mean", beta1), ("change", beta2), ("square", beta3))
        )
        rate = float(group["lr"])
        weight.addcdiv_(mean + beta2 * change, square.sqrt() + group["eps"], value=-rate)
        weight.div_(1 + rate * group["weight_decay"])
