"""The tensors of a checkpoint: taken from a strategy, written, and read by any strategy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tp_core.artifacts.layout import OPTIMIZER, STEM
from tp_core.artifacts.stored_tensors import Form, forms_of, read_into, read_tensors, write_parts
from tp_core.artifacts.weights import in_order, save_weights
from tp_core.files.tensor_paths import PARTS, stored_at
from tp_core.training.optimizers.base import is_sharded

if TYPE_CHECKING:
    from tp_core.training.strategies.base import Strategy

#: Between the name of a weight and the name of a value of its optimizer state.
_OF = "/"


class InTurn:
    """Tensors that all processes join, one after the other, and that the first process writes.

    Args:
        tensors: by name, on every process in the same order.
        whole: joins a tensor; every process takes part.
    """

    def __init__(self, tensors: Mapping[str, Tensor], whole: Callable[[Tensor], Tensor]) -> None:
        self._left, self._whole = list(tensors.values()), whole

    def whole(self, tensor: Tensor) -> Tensor:
        """The whole tensor of the next one."""
        assert tensor is self._left.pop(0)
        return self._whole(tensor)

    def join_rest(self) -> None:
        """Join those that are left: on processes that do not write, and if the first one fails in between."""
        while self._left:
            self.whole(self._left[0])


@dataclass(frozen=True)
class Snapshot:
    """Weights and optimizer state as this process holds them.

    Attributes:
        weights: plain tensors, DTensors of which this process has a part, or whatever ``whole`` joins.
        optimizer: tensors of the optimizer state, by ``<weight>/<value>``.
        values: other values of the optimizer state, by the same names.
        trained: names of the weights that the optimizer trains.
        rank: of the process.
        group: process group in which parts of DTensors are written; None if the first process writes all.
        whole: joins a tensor for the first process, and every process takes part; None if tensors are whole.
    """

    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    values: dict[str, Any] = field(default_factory=dict)
    trained: list[str] = field(default_factory=list)
    rank: int = 0
    group: Any = None
    whole: Callable[[Tensor], Tensor] | None = None

    def facts(self) -> dict[str, Any]:
        """Everything but tensors, for :meth:`tp_core.Strategy.restore`."""
        return {"values": self.values, "trained": self.trained}

    def prepare(self, folder: Path) -> None:
        """Make the folders that :meth:`write` writes into; only the first process calls this."""
        if self.group is not None:
            for stem in (STEM, OPTIMIZER):
                (folder / (stem + PARTS)).mkdir()

    def write(self, folder: Path) -> None:
        """Write all tensors into a checkpoint's folder. Every process calls this."""
        for stem, tensors in ((STEM, self.weights), (OPTIMIZER, self.optimizer)):
            if self.group is not None:
                write_parts(folder / (stem + PARTS), tensors, self.group)
            elif self.whole is not None:
                ordered = in_order(tensors)
                joined = InTurn(ordered, self.whole)
                try:
                    if self.rank == 0:
                        save_weights(ordered, folder / f"{stem}.safetensors", joined.whole)
                finally:
                    joined.join_rest()
            elif self.rank == 0:
                save_weights(tensors, folder / f"{stem}.safetensors")

    def copied(self) -> Snapshot:
        """A copy in the memory of the host, which later steps do not change."""
        if self.whole is None:
            return replace(self, weights=_copied(self.weights), optimizer=_copied(self.optimizer))
        weights, optimizer = (self._joined(each) for each in (self.weights, self.optimizer))
        return replace(self, weights=weights, optimizer=optimizer, whole=None)

    def _joined(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The whole tensors on the first process; none on the others."""
        assert self.whole is not None
        found: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            whole = self.whole(tensor)
            if self.rank == 0:
                found[name] = whole.detach().to("cpu", copy=True)
        return found


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if not any(map(is_sharded, tensors.values())):
        return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}
    from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions

    options = StagingOptions(
        use_pinned_memory=False, use_shared_memory=False, use_async_staging=False, use_non_blocking_copy=False
    )
    stager = DefaultStager(options)
    try:
        copied: Any = stager.stage(dict(tensors))
        return dict(copied)
    finally:
        stager.close()


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The state of an optimizer with named parameters: its tensors, and its other values, by ``<weight>/<value>``."""
    tensors: dict[str, Tensor] = {}
    values: dict[str, Any] = {}
    for group in optimizer.param_groups:
        for name, parameter in zip(group["param_names"], group["params"]):
            for key, value in optimizer.state.get(parameter, {}).items():
                kept: dict[str, Any] = tensors if isinstance(value, Tensor) else values
                kept[f"{name}{_OF}{key}"] = value
    return tensors, values


def read_optimizer(strategy: Strategy, folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The optimizer state of a checkpoint in the form of ``Optimizer.state_dict()``, with this process's parts.

    Args:
        facts: result of :meth:`Snapshot.facts` of the checkpoint.

    Raises:
        CheckpointError: it cannot be read.
    """
    groups = strategy.optimizer.param_groups
    named = {name: p for group in groups for name, p in zip(group["param_names"], group["params"])}
    path = stored_at(folder, OPTIMIZER)
    forms = forms_of(path)
    if path.is_dir() and _reads_parts(named.values()):
        state = {name: _place(form, named.get(name.rpartition(_OF)[0])) for name, form in forms.items()}
        read_into(path, state, strategy.state_group())
    else:
        state = read_tensors(path)
        for name, whole in state.items():
            like = named.get(name.rpartition(_OF)[0])
            if like is not None and whole.shape == like.shape:
                state[name] = strategy.part(whole, like)
    every: dict[str, dict[str, Any]] = {}
    for name, value in [*state.items(), *facts["values"].items()]:
        weight, _, key = name.rpartition(_OF)
        every.setdefault(weight, {})[key] = value
    names = facts["trained"]  # some may have no state, as with SGD without momentum
    numbers = {name: number for number, name in enumerate(names)}
    group = {"params": list(range(len(names))), "param_names": names}
    return {"state": {numbers[name]: own for name, own in every.items()}, "param_groups": [group]}


def _reads_parts(tensors: Iterable[Tensor]) -> bool:
    return any(map(is_sharded, tensors))


def _place(form: Form, like: Any) -> Tensor:
    """An empty tensor for a value of a weight's state: divided like the weight, if it has the weight's shape."""
    if like is None or not is_sharded(like) or like.shape != form.shape:
        return torch.empty(form.shape, dtype=form.dtype)
    return torch.empty_like(like, dtype=form.dtype, requires_grad=False)
