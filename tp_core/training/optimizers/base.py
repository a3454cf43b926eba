"""Base of the optimizers: the device scales or skips an update, without the host waiting for it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

_FUSED_DEVICES = ("cpu", "cuda", "xpu", "mps")

#: Devices on which the host reads the flag directly, since there is no wait.
_READ_ON = {"cpu"}


class Optimizer(torch.optim.Optimizer):
    """An optimizer whose steps take the gradients' divisor and a skip flag as tensors.

    The names of these tensors are those of torch's fused optimizers. A skipped step leaves weights and state unchanged,
    and applies no weight decay.

    Args:
        params: parameters, or parameter groups.
        defaults: default options of the groups.
        unread: True if the host need not read the flag. False if torch has no such kernels for the parameters; the
            caller then divides the gradients and skips the step.

    Attributes:
        grad_scale: divisor of the gradients, a scalar; None for 1.
        found_inf: 1 to skip the step, else 0, a scalar; None for 0.
    """

    grad_scale: Tensor | None = None
    found_inf: Tensor | None = None
    _flag: Tensor | None = None  # the skip flag during a step, if the host has not read it

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any], unread: bool = True) -> None:
        # If an optimizer is capturable, torch keeps the step count on the device when it loads a state.
        super().__init__(params, {**defaults, "capturable": unread})
        self.unread = unread

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have gradients; returns the closure's loss, or None."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._flag = self.found_inf
        if self._flag is not None and self._flag.device.type in _READ_ON:
            if self._flag.item():
                return loss
            self._flag = None
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if any(parameter.grad.is_sparse for parameter in parameters):
                raise RuntimeError(f"{type(self).__name__} does not support sparse gradients")
            if parameters:
                self._update(group, parameters)
        return loss

    @abstractmethod
    def _update(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        """Update the parameters of a group, all of which have gradients."""

    def _kept(self, parameters: list[Tensor], name: str) -> list[Tensor]:
        """A tensor of each parameter's state, initially zeros of the parameter's shape."""
        found = []
        for parameter in parameters:
            state = self.state[parameter]
            if name not in state:
                state[name] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
            found.append(state[name])
        return found

    def _steps(self, parameters: list[Tensor]) -> list[Tensor]:
        """The number of updates of each parameter so far."""
        found = []
        for parameter in parameters:
            state = self.state[parameter]
            if "step" not in state:
                device = parameter.device if self.unread else "cpu"
                state["step"] = torch.zeros((), dtype=torch.float32, device=device)
            found.append(state["step"])
        return found

    def _count(self, steps: list[Tensor]) -> None:
        """Count the update, unless it is skipped."""
        torch._foreach_add_(steps, 1.0 if self._flag is None else [1.0 - self._flag] * len(steps))

    def _applied(self) -> Tensor | float:
        """0 for a skipped step, else 1."""
        return 1.0 if self._flag is None else 1.0 - self._flag

    def _scale_gradients(self, parameters: list[Tensor], instead: list[Tensor] | None = None) -> list[Tensor]:
        """This process's gradients, divided in place; for a skipped step, zeros or ``instead``."""
        gradients = [local(parameter.grad) for parameter in parameters]
        if self.grad_scale is not None:
            torch._foreach_mul_(gradients, 1.0 / self.grad_scale)
        if self._flag is not None:  # a non-finite value times 0 is still not finite
            bad = self._flag > 0
            for number, gradient in enumerate(gradients):
                other = torch.zeros((), device=gradient.device) if instead is None else instead[number]
                gradient.copy_(torch.where(bad, other, gradient))
        return gradients

    def _add(self, weights: list[Tensor], updates: list[Tensor], factor: float) -> None:
        """Add a multiple of the updates to the weights."""
        if self._flag is None:
            torch._foreach_add_(weights, updates, alpha=factor)
        else:
            torch._foreach_add_(weights, torch._foreach_mul(updates, factor * self._applied()))

    def _decay(self, group: dict[str, Any], weights: list[Tensor]) -> None:
        """Apply decoupled weight decay."""
        if group["weight_decay"]:
            self._add(weights, weights, -float(group["lr"]) * group["weight_decay"])


def is_sharded(tensor: Any) -> bool:
    """True if a tensor is a DTensor, of which each process holds a part."""
    # Not isinstance: importing DTensor costs more than a second.
    return hasattr(tensor, "to_local")


def local(tensor: Any) -> Tensor:
    """This process's part; elementwise updates work on parts alone."""
    part: Tensor = tensor.to_local() if is_sharded(tensor) else tensor
    return part


def locals_of(tensors: Iterable[Tensor]) -> list[Tensor]:
    return [local(tensor) for tensor in tensors]


def fusible(params: Iterable[Any]) -> bool:
    """True if torch has fused kernels for all parameters or parameter groups, with or without names."""
    flat = (each for group in params for each in (group["params"] if isinstance(group, dict) else [group]))
    every = (each[1] if isinstance(each, tuple) else each for each in flat)
    return all(p.is_floating_point() and p.device.type in _FUSED_DEVICES for p in every)
