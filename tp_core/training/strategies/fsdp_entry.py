"""Entry into a model whose weights ``fully_shard`` divides: its forward pass, or another method that uses weights."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, register_fsdp_forward_method
from torch.distributed.tensor import DTensor


def enter_by(model: nn.Module, methods: Iterable[str]) -> None:
    """Join the weights of the outermost unit in calls of these methods, as in the forward pass.

    Within one such call, the others are plain calls. Outside of training, all weights are divided again at its end:
    torch keeps those of some units joined until a backward pass, in which time they could not be read or loaded.
    """
    inside = [False]

    def divide() -> None:
        if not torch.is_grad_enabled():
            for unit in units_of(model):
                unit.reshard()

    def entry(plain: Callable[..., Any], joining: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(plain)
        def call(*given: Any, **named: Any) -> Any:
            if inside[0]:
                return plain(*given, **named)
            inside[0] = True
            try:
                return joining(*given, **named)
            finally:
                inside[0] = False
                divide()

        return call

    for name in methods:
        plain = getattr(model, name)
        register_fsdp_forward_method(model, name)
        setattr(model, name, entry(plain, getattr(model, name)))
    whole_pass = model.forward

    def forward(*given: Any, **named: Any) -> Any:
        outermost, inside[0] = not inside[0], True
        try:
            return whole_pass(*given, **named)
        finally:
            inside[0] = not outermost

    model.forward = forward
    model.register_forward_hook(lambda *_: divide(), always_call=True)


def units_of(model: nn.Module) -> list[FSDPModule]:
    """The parts of a model whose weights are joined at a time; the first is the model itself."""
    return [module for module in model.modules() if isinstance(module, FSDPModule)]


def joined_weights(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The weights whose gradients a backward pass computes, by name; those of one unit are joined at a time."""
    parts = dict(model.named_parameters())
    units = units_of(model)
    for name, weight in parts.items():
        if not units or not isinstance(weight, DTensor):  # they are not divided
            yield name, weight
    for unit in units:
        unit.unshard()
        try:
            for name, weight in model.named_parameters():
                if weight is not parts[name]:
                    yield name, weight
        finally:
            unit.reshard()


def reduce_unused(model: nn.Module) -> Callable[[Tensor], None]:
    """Let gradients be summed also for weights that some processes do not use in a step: theirs are zeros.

    Returns:
        A function to call with the loss before its backward pass.
    """
    assert isinstance(model, FSDPModule)
    if hasattr(model, "set_reduce_scatter_unused_params"):  # torch 2.12
        model.set_reduce_scatter_unused_params(True)
        return lambda loss: None
    for unit in units_of(model):
        group = unit._get_fsdp_state()._fsdp_param_group
        if group is not None:
            group.post_backward = _with_zeros(group)  # type: ignore[method-assign]

    def before(loss: Tensor) -> None:
        # This version of torch does not see tensors in dataclasses, which a model returns.
        loss.register_hook(lambda gradient: model._get_fsdp_state()._pre_backward(gradient))  # type: ignore[no-untyped-call]

    return before


def _with_zeros(group: Any) -> Callable[..., None]:
    """The work of a unit after its backward pass, with zeros as the gradients of weights that have none."""
    plain = group.post_backward

    def post_backward(*given: Any) -> None:
        if group.is_unsharded:
            for each in group.fsdp_params:
                if each.unsharded_accumulated_grad is None and each.unsharded_param.requires_grad:
                    own = each.unsharded_param
                    own.grad = torch.zeros_like(own) if own.grad is None else own.grad
        plain(*given)

    return post_backward


class Used:
    """The weights that a step uses on any process. The others have no gradient, so that the optimizer leaves them.

    Attributes:
        names: names of the trained weights.
    """

    def __init__(self) -> None:
        self._used: set[str] = set()
        self.names: list[str] = []

    def watch(self, name: str, weight: nn.Parameter) -> None:
        """Note each gradient of a weight from now on."""
        self.names.append(name)
        weight.register_post_accumulate_grad_hook(functools.partial(self._note, name))  # type: ignore[no-untyped-call]

    def _note(self, name: str, _: Tensor) -> None:
        self._used.add(name)

    def take(self) -> Tensor:
        """For each trained weight, 1 if this process used it since the last call, else 0: (weights,), on the host."""
        found = torch.tensor([float(name in self._used) for name in self.names])
        self._used.clear()
        return found
