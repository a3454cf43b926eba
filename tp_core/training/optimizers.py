"""Parameter groups and optimizers. The learning rate, ``group["lr"]``, may be set before each step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from tp_core.errors import TPError
from tp_core.suggest import did_you_mean
from tp_core.training.config import (
    TABLES,
    AdafactorConfig,
    AdamWConfig,
    LionConfig,
    OptimizerConfig,
    SgdConfig,
)

_NORMS = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.modules.batchnorm._NormBase)
_FUSED_DEVICES = ("cpu", "cuda", "xpu", "mps")

#: The paper adds 1e-30 to squared gradients; torch takes the root of that. Torch's own default (1e-7 for
#: float32) is larger than the squared gradients of large models and would distort their factored variance.
_ADAFACTOR_EPS1 = 1e-15


def parameter_groups(model: nn.Module, config: OptimizerConfig) -> list[dict[str, Any]]:
    """The trainable parameters of a model, those with and those without weight decay apart.

    Without ``decay_all``, parameters of normalisation layers and parameters of fewer than two dimensions
    (biases, scales) do not decay. A parameter that several modules share appears once; frozen ones are left
    out.

    Raises:
        TPError: when nothing in the model is trainable.
    """
    exempt = {id(p) for m in model.modules() if isinstance(m, _NORMS) for p in m.parameters(recurse=False)}
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        decays = config.decay_all or (parameter.dim() >= 2 and id(parameter) not in exempt)
        (decayed if decays else others).append(parameter)
    if not decayed and not others:
        raise TPError("the model has no parameters to train: all of them are frozen")
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def build_optimizer(name: str, config: OptimizerConfig, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
    """The optimizer that a spec names.

    Args:
        name: a key of ``TABLES["optimizer"]``, for messages; the config's class decides.
        config: its options.
        groups: as :func:`parameter_groups` gives them; a group without ``weight_decay`` takes the config's.

    Raises:
        TPError: when the optimizer is not one of the core's, or cannot work with these options.
    """
    groups = list(groups)
    common: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay}
    try:
        if isinstance(config, AdamWConfig):
            return torch.optim.AdamW(
                groups, betas=_pair(config.betas), eps=config.eps, fused=_fusible(groups) or None, **common
            )
        if isinstance(config, SgdConfig):
            # Torch has no fused SGD for sharded parameters.
            fused = _fusible(groups) and not any(_is_sharded(p) for p in _parameters(groups))
            optimizer = torch.optim.SGD(
                groups, momentum=config.momentum, nesterov=config.nesterov, fused=fused or None, **common
            )
            if config.momentum:
                # Torch leaves the momentum undefined when the first update is not applied for a bad gradient.
                for parameter in _parameters(groups):
                    optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
            return optimizer
        if isinstance(config, AdafactorConfig):
            return torch.optim.Adafactor(
                groups,
                beta2_decay=config.beta2_decay,
                eps=(_ADAFACTOR_EPS1, config.eps),
                d=config.clip_threshold,
                **common,
            )
        if isinstance(config, LionConfig):
            return Lion(groups, betas=_pair(config.betas), **common)
    except ValueError as error:
        raise TPError(f"optimizer {name}: {error}") from error
    near = did_you_mean(name, TABLES["optimizer"])
    raise TPError(f"unknown optimizer '{name}'" + (f"; {near}" if near else ""))


class Lion(torch.optim.Optimizer):
    """Lion: the sign of an interpolated momentum, decoupled weight decay (Chen et al., 2023, algorithm 2).

    Args:
        params: parameters or parameter groups.
        lr: learning rate; the paper advises a third to a tenth of AdamW's.
        betas: interpolation for the update's direction, and decay of the momentum.
        weight_decay: decoupled, multiplied by the learning rate.

    Raises:
        ValueError: an option out of range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        if lr < 0:
            raise ValueError(f"lr is {lr}; it must not be negative")
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas are {betas}; each must be in [0, 1)")
        if weight_decay < 0:
            raise ValueError(f"weight_decay is {weight_decay}; it must not be negative")
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; gives back the closure's loss, or None."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._update(group)
        return loss

    def _update(self, group: dict[str, Any]) -> None:
        parameters: list[Tensor] = []
        gradients: list[Tensor] = []
        momenta: list[Tensor] = []
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            if parameter.grad.is_sparse:
                raise RuntimeError("Lion does not support sparse gradients")
            state = self.state[parameter]
            if not state:
                state["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
            parameters.append(_local(parameter))
            gradients.append(_local(parameter.grad))
            momenta.append(_local(state["exp_avg"]))
        if not parameters:
            return
        beta1, beta2 = group["betas"]
        lr = float(group["lr"])
        if group["weight_decay"]:
            torch._foreach_mul_(parameters, 1 - lr * group["weight_decay"])
        updates = torch._foreach_lerp(momenta, gradients, 1 - beta1)
        torch._foreach_sign_(updates)
        torch._foreach_add_(parameters, updates, alpha=-lr)
        torch._foreach_lerp_(momenta, gradients, 1 - beta2)


def _is_sharded(tensor: Tensor) -> bool:
    # Not isinstance: importing DTensor costs more than a second.
    return hasattr(tensor, "to_local")


def _local(tensor: Any) -> Tensor:
    """This process's shard; the update is elementwise, so shards need nothing of each other."""
    local: Tensor = tensor.to_local() if _is_sharded(tensor) else tensor
    return local


def _pair(betas: list[float]) -> tuple[float, float]:
    first, second = betas
    return first, second


def _parameters(groups: list[dict[str, Any]]) -> Iterator[Tensor]:
    for group in groups:
        yield from group["params"]


def _fusible(groups: list[dict[str, Any]]) -> bool:
    """Whether torch has fused kernels for all these parameters."""
    return all(p.is_floating_point() and p.device.type in _FUSED_DEVICES for p in _parameters(groups))
