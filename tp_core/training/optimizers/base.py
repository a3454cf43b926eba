"""The base of the optimizers: an update that the device scales, or leaves out, without the host waiting for it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

_FUSED_DEVICES = ("cpu", "cuda", "xpu", "mps")

#: Devices that nobody has to wait for: the flag of a step is read there, and the step left out.
_READ_ON = {"cpu"}


class Optimizer(torch.optim.Optimizer):
    """An optimizer whose steps take the gradients' divisor and a "do not apply" flag as tensors.

    These are torch's own names for them, which its fused optimizers have. A step with the flag leaves weights and state
    as they are, its weight decay included.

    Args:
        params: parameters, or parameter groups.
        defaults: options of the groups that do not have them.
        unread: the flag need not be read by the host; false where torch has no such kernels for the parameters, and
            the caller divides the gradients and leaves the step out.

    Attributes:
        grad_scale: divides the gradients, a scalar; None for 1.
        found_inf: 1 for a step that is not to be applied and else 0, a scalar; None for 0.
    """

    grad_scale: Tensor | None = None
    found_inf: Tensor | None = None
    _flag: Tensor | None = None  # the same during a step, where the host has not read it

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any], unread: bool = True) -> None:
        # Torch keeps the count of steps on the device when it loads the state of an optimizer that is capturable.
        super().__init__(params, {**defaults, "capturable": unread})
        self.unread = unread

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; gives back the closure's loss, or None."""
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
        """A tensor of each parameter's state, zeros of its shape at first."""
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
        """Add one update, if it is to be applied."""
        torch._foreach_add_(steps, 1.0 if self._flag is None else [1.0 - self._flag] * len(steps))

    def _applied(self) -> Tensor | float:
        """1, or 0 for a step that is not to be applied."""
        return 1.0 if self._flag is None else 1.0 - self._flag

    def _scale_gradients(self, parameters: list[Tensor], instead: list[Tensor] | None = None) -> list[Tensor]:
        """This process's gradients, divided in place; in a step that is not to be applied zeros, or ``instead``."""
        gradients = [local(parameter.grad) for parameter in parameters]
        if self.grad_scale is not None:
            torch._foreach_mul_(gradients, 1.0 / self.grad_scale)
        if self._flag is not None:  # what is not finite would stay so however small its factor
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
        """Decoupled weight decay."""
        if group["weight_decay"]:
            self._add(weights, weights, -float(group["lr"]) * group["weight_decay"])


def is_sharded(tensor: Any) -> bool:
    """True if a tensor is a DTensor, which has a part on every process."""
    # Not isinstance: importing DTensor costs more than a second.
    return hasattr(tensor, "to_local")


def local(tensor: Any) -> Tensor:
    """This process's part, on which an elementwise update needs nothing of the others."""
    part: Tensor = tensor.to_local() if is_sharded(tensor) else tensor
    return part


def locals_of(tensors: Iterable[Tensor]) -> list[Tensor]:
    return [local(tensor) for tensor in tensors]


def fusible(params: Iterable[Any]) -> bool:
    """True if torch has fused kernels for all of these parameters, or parameter groups, which may have names."""
    flat = (each for group in params for each in (group["params"] if isinstance(group, dict) else [group]))
    every = (each[1] if isinstance(each, tuple) else each for each in flat)
    return all(p.is_floating_point() and p.device.type in _FUSED_DEVICES for p in every)
