"""The Adafactor optimizer."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from tp_core.training.optimizers.base import Optimizer, is_sharded, local, locals_of


class Adafactor(Optimizer):
    """Adafactor (Shazeer & Stern, 2018, algorithms 4 and 5): second moments by row and column, clipped updates.

    The last two dimensions of a weight are rows and columns. Weights with fewer dimensions have one moment per element.

    Args:
        params: parameters or parameter groups.
        lr: learning rate; without ``scale_parameter``, it is the root mean square of a clipped update.
        beta2_decay: at update ``t`` (from 1), the second moments take the share ``t ** beta2_decay`` from the new
            squared gradient.
        eps: value added to squared gradients, and minimum root mean square of a weight for ``scale_parameter``.
        clip_threshold: maximum root mean square of a weight's update.
        beta1: decay of a moving average that replaces the updates; None for none.
        scale_parameter: True to multiply each weight's update by the weight's root mean square.
        relative_step: True to limit the learning rate of update ``t`` to ``1 / √t``. With ``lr`` 0.01, a constant
            schedule and ``scale_parameter``, this is the paper's learning rate.
        weight_decay: decoupled weight decay, multiplied by ``lr`` only.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        beta2_decay: float = -0.8,
        eps: tuple[float, float] = (1e-30, 1e-3),
        clip_threshold: float = 1.0,
        beta1: float | None = None,
        scale_parameter: bool = False,
        relative_step: bool = False,
        weight_decay: float = 0.01,
    ) -> None:
        moments = {"beta2_decay": beta2_decay, "eps": eps, "clip_threshold": clip_threshold, "beta1": beta1}
        rates = {"lr": lr, "scale_parameter": scale_parameter, "relative_step": relative_step}
        super().__init__(params, {**rates, **moments, "weight_decay": weight_decay})

    def _update(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        applied, lr = self._applied(), float(group["lr"])
        self._scale_gradients(parameters)
        steps = self._steps(parameters)
        self._count(steps)
        counts = torch.stack(steps).clamp(min=1)  # the count stays 0 if the first step is skipped
        fresh = (counts ** group["beta2_decay"] * applied).unbind()
        normalised = [self._normalised(p, weight, group["eps"][0]) for p, weight in zip(parameters, fresh)]
        rates: Tensor | float = counts.rsqrt().clamp(max=lr) if group["relative_step"] else lr
        if group["scale_parameter"]:
            rates = rates * _root_mean_squares(parameters).clamp(min=group["eps"][1])
        factors = -rates / (_root_mean_squares(normalised) / group["clip_threshold"]).clamp(min=1)
        updates, weights = locals_of(normalised), locals_of(parameters)
        torch._foreach_mul_(updates, list(factors.unbind()))
        if group["beta1"] is not None:
            means = locals_of(self._kept(parameters, "exp_avg"))
            torch._foreach_sub_(updates, means)
            self._add(means, updates, 1 - group["beta1"])
            updates = means
        self._decay(group, weights)
        self._add(weights, updates, 1.0)

    def _normalised(self, parameter: Tensor, fresh: Tensor, eps: float) -> Tensor:
        """The gradient over the root of its second moments, which take the share ``fresh`` from its square."""
        gradient: Any = parameter.grad
        state = self.state[parameter]
        square, fresh = gradient.square().add_(eps), fresh.to(gradient.dtype)
        # Moments are at least eps, except zeros before a skipped first step.
        if parameter.dim() < 2:
            (moments,) = self._kept([parameter], "exp_avg_sq")
            local(moments).lerp_(local(square), fresh)
            normalised: Tensor = gradient * moments.clamp(min=eps).rsqrt()
            return normalised
        rows, columns = (_whole(square.sum(dim)) / square.shape[dim] for dim in (-1, -2))
        for name, means in (("exp_avg_sq_row", rows), ("exp_avg_sq_col", columns)):
            if name not in state:
                state[name] = torch.zeros_like(means)
            state[name].lerp_(means, fresh)
        row, column = state["exp_avg_sq_row"].clamp(min=eps), state["exp_avg_sq_col"].clamp(min=eps)
        # Do not divide a row by the mean of rows: the result is too small if one row has no gradient.
        factor = row.rsqrt() * row.mean(dim=-1, keepdim=True).sqrt()
        update = gradient * _beside(gradient, factor.unsqueeze(-1))
        update = update * _beside(gradient, column.rsqrt().unsqueeze(-2))
        return _as_sharded(update, gradient)


def _root_mean_squares(tensors: list[Tensor]) -> Tensor:
    """Root mean square of each of n tensors over all processes' parts: (n,)."""
    if any(map(is_sharded, tensors)):
        norms = [_whole(torch.linalg.vector_norm(tensor)) for tensor in tensors]
    else:
        norms = list(torch._foreach_norm(tensors))
    return torch.stack(torch._foreach_div(norms, [math.sqrt(tensor.numel()) for tensor in tensors]))


def _whole(tensor: Any) -> Tensor:
    """The whole tensor, joined from all processes' parts."""
    found: Tensor = tensor.full_tensor() if is_sharded(tensor) else tensor
    return found


def _as_sharded(tensor: Any, other: Any) -> Tensor:
    """Shard a result of arithmetic with ``other`` like ``other``; dimensions of size 1 may lose their sharding."""
    found: Tensor = tensor.redistribute(other.device_mesh, other.placements) if is_sharded(other) else tensor
    return found


def _beside(sharded: Any, whole: Tensor) -> Tensor:
    """``whole``, which every process has, in a form for arithmetic with a possibly sharded tensor."""
    if not is_sharded(sharded):
        return whole
    from torch.distributed.tensor import DTensor, Replicate

    mesh = sharded.device_mesh
    return DTensor.from_local(whole, mesh, [Replicate()] * mesh.ndim, run_check=False)
