"""Parameter update: unscale, clip, and skip the update if a gradient is not finite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tp_core.training.optimizers.base import Optimizer

if TYPE_CHECKING:
    from tp_core.training.strategies.base import Strategy

_GROWTH_INTERVAL = 2000


class Update:
    """Applies an optimizer step without waiting for the device.

    Optimizers take the gradients' divisor and a skip flag as tensors. So the host need not decide about bad steps, and
    clipping needs no extra pass over the gradients for fused optimizers. The host only reads the flag if torch lacks
    such kernels for the parameters, or if the optimizer is not an :class:`Optimizer`.

    Args:
        strategy: provides the norm of the gradients and the device.
        half: True if gradients are in half precision; the loss is then scaled to keep them in range.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, strategy: Strategy, clip_norm: float | None, half: bool
    ) -> None:
        self.optimizer, self.strategy, self.clip_norm = optimizer, strategy, clip_norm
        self.parameters: list[nn.Parameter] = [p for g in optimizer.param_groups for p in g["params"]]
        self.scale: Tensor | None = None
        self._streak: Tensor | None = None
        if half:
            self.scale = torch.full((), 65536.0, device=strategy.device)
            self._streak = torch.zeros((), dtype=torch.int32, device=strategy.device)

    def __call__(self, lr: float) -> tuple[Tensor, Tensor]:
        """Apply the accumulated gradients, then clear them.

        Args:
            lr: scheduled learning rate; each group uses its share ``lr_factor``.

        Returns:
            The gradient norm before clipping, and a flag that is 1 if something was not finite and the update was
            skipped.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["lr_factor"]
        norm = self.strategy.norm([p.grad for p in self.parameters if p.grad is not None]).float()
        if self.scale is not None:
            norm = norm / self.scale
        bad = (~torch.isfinite(norm)).float()
        divisor = torch.ones((), device=norm.device) if self.scale is None else self.scale.clone()
        if self.clip_norm is not None:
            divisor = divisor * (norm / self.clip_norm).clamp(min=1.0)
        if isinstance(self.optimizer, Optimizer) and self.optimizer.unread:
            self.optimizer.grad_scale, self.optimizer.found_inf = divisor, bad
            self.optimizer.step()
            self.optimizer.grad_scale = self.optimizer.found_inf = None
        elif not bad.item():
            gradients = [p.grad for p in self.parameters if p.grad is not None]
            torch._foreach_mul_(gradients, 1.0 / divisor)
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._adapt(bad)
        return norm, bad

    def _adapt(self, bad: Tensor) -> None:
        """Halve the loss scale after a bad step, double it after a long run of good ones."""
        if self.scale is None or self._streak is None:
            return
        streak = torch.where(bad > 0, 0, self._streak + 1)
        grown = streak >= _GROWTH_INTERVAL
        self.scale = torch.where(bad > 0, self.scale * 0.5, torch.where(grown, self.scale * 2, self.scale))
        self._streak = torch.where(grown, 0, streak).to(torch.int32)

    def state(self) -> dict[str, Any]:
        if self.scale is None or self._streak is None:
            return {}
        return {"scale": self.scale.cpu(), "streak": self._streak.cpu()}

    def load(self, state: dict[str, Any]) -> None:
        if self.scale is not None and state:
            self.scale = state["scale"].to(self.strategy.device)
            self._streak = state["streak"].to(self.strategy.device)
