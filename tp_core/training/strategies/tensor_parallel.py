"""Division of a model's layers among processes that compute each sample together (Shoeybi et al., 2019)."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor.parallel import ColwiseParallel, ParallelStyle, RowwiseParallel, parallelize_module

from tp_core.errors import TPError
from tp_core.interfaces import Module, Share
from tp_core.packages.plugin_errors import wrong_value
from tp_core.training.initial_weights import grouped
from tp_core.training.optimizers.base import is_sharded

_STYLES: dict[str, type[ParallelStyle]] = {"columns": ColwiseParallel, "rows": RowwiseParallel}
_SUMMED = "summed"

#: The share of a model's parameters from which a whole module is worth a line.
_WORTH = 0.01


class Division:
    """A model whose layers are divided as its modules declare (:meth:`tp_core.interfaces.Module.divide`).

    Args:
        model: a model on the meta device.
        mesh: the processes that compute each sample together.

    Attributes:
        summed: names of the weights that every process has and uses for its part.

    Raises:
        TPError: a module cannot be divided among so many processes, or declares something else.
    """

    def __init__(self, model: nn.Module, mesh: DeviceMesh) -> None:
        self._mesh = mesh
        share = Share(mesh.get_local_rank(), mesh.size(), mesh.get_group())
        self.summed: set[str] = set()
        for name, module in model.named_modules():
            if isinstance(module, Module):
                try:
                    declared = module.divide(share)
                except ValueError as error:
                    raise TPError(f"tensor parallelism: {name}: {error}") from None
                self._divide(name, module, declared)
        self.whole = list(_whole(model))

    def _divide(self, path: str, module: Module, declared: Any) -> None:
        plan: dict[str, ParallelStyle] = {}
        for attribute, style in dict(declared).items():
            layer = getattr(module, attribute, None)
            if style == _SUMMED and isinstance(layer, nn.Module):
                self.summed.update(f"{path}.{attribute}.{name}" for name, _ in layer.named_parameters())
            elif style in _STYLES and isinstance(layer, nn.Linear):
                plan[attribute] = _STYLES[style]()
            else:
                shown = f"'{attribute}': {style!r}"
                raise wrong_value(module, "divide", shown, "names of own layers with columns, rows or summed")
        if plan:
            parallelize_module(module, self._mesh, plan, src_data_rank=None)

    def sum_gradient(self, name: str, weight: nn.Parameter) -> None:
        """Sum the gradients of a weight over the processes from now on, if each of them uses it for its part."""
        if name in self.summed:
            weight.register_hook(functools.partial(_sum, self._mesh.get_group()))  # type: ignore[no-untyped-call]


def _sum(group: Any, gradient: Tensor) -> Tensor:
    found = gradient.contiguous().clone()
    dist.all_reduce(found, group=group)
    return found


def _whole(model: nn.Module) -> Iterator[str]:
    """Descriptions of the modules that every process computes as a whole."""
    sizes = {name: weight.numel() for name, weight in model.named_parameters()}
    reasons = {name: "" for name, weight in model.named_parameters() if not is_sharded(weight)}
    for group in grouped(sizes, reasons):
        if group.parameters >= _WORTH * sum(sizes.values()):
            yield f"{group.module} ({group.parameters:,} parameters)"
