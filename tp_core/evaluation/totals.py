"""Metrics over several batches and processes: sums, and joined rows."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tp_core.errors import TPError
from tp_core.interfaces import Joined, MetricState
from tp_core.metrics.facts import MetricFacts, no_mean, ratio
from tp_core.model_output import ModelOutput
from tp_core.processes.group import ProcessGroup

#: The shapes of a metric's tensors.
Shapes = tuple[tuple[int, ...], ...]

#: A metric's tensors over all data, on the host.
Arrays = tuple[NDArray[Any], ...]


class Totals:
    """Named tensors that are summed on the device in float64, so that integers and their sums stay exact."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._shapes: dict[str, Shapes] = {}
        self._values = torch.zeros(0, dtype=torch.float64, device=device)

    @torch.no_grad()
    def add(self, states: Mapping[str, tuple[Any, ...]]) -> None:
        """Add tensors, numbers or arrays by name, without waiting for the device."""
        shapes: dict[str, Shapes] = {}
        parts: list[Tensor] = []
        for name, state in states.items():
            tensors = [self._tensor(value) for value in state]
            shapes[name] = tuple(tuple(tensor.shape) for tensor in tensors)
            parts += [tensor.reshape(-1) for tensor in tensors]
        if not parts:
            return
        if any(part.dtype != torch.float32 for part in parts):  # concatenating first would lose digits
            parts = [part.double() for part in parts]
        self._add(shapes, torch.cat(parts).double())

    def merge(self, other: Totals, skip: Tensor | None = None) -> None:
        """Add other totals, or zeros if the flag ``skip`` (a scalar) is true, without waiting for the device."""
        values = other._values if skip is None else torch.where(skip, torch.zeros_like(other._values), other._values)
        self._add(other._shapes, values)

    def read(self, processes: ProcessGroup) -> dict[str, Arrays]:
        """The totals over all processes, by name in order. Waits for the device once.

        Raises:
            TPError: the tensors of a metric have different shapes.
        """
        together: dict[str, Shapes] = {}
        for shapes in processes.gather(self._shapes):
            together = _union(together, shapes)
        together = dict(sorted(together.items()))
        values = processes.all_reduce(self._aligned(together).clone()).cpu().numpy()
        found, place = {}, 0
        for name, shapes in together.items():
            arrays = []
            for shape in shapes:
                arrays.append(values[place : place + prod(shape)].reshape(shape))
                place += prod(shape)
            found[name] = tuple(arrays)
        return found

    def reset(self) -> None:
        self._shapes, self._values = {}, self._values[:0]

    def state(self) -> dict[str, Any]:
        shapes = {name: [list(shape) for shape in each] for name, each in self._shapes.items()}
        return {"shapes": shapes, "values": self._values.cpu()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Add the totals from :meth:`state`."""
        shapes = {name: tuple(tuple(shape) for shape in each) for name, each in state["shapes"].items()}
        self._add(shapes, state["values"].to(self.device))

    def _tensor(self, value: Any) -> Tensor:
        if isinstance(value, Tensor):
            return value if value.device == self.device else value.to(self.device)
        if isinstance(value, (int, float)):  # filling on the device avoids a copy that would wait
            return torch.full((), float(value), dtype=torch.float64, device=self.device)
        return torch.as_tensor(np.asarray(value, dtype=np.float64), device=self.device)

    def _add(self, shapes: dict[str, Shapes], values: Tensor) -> None:
        if not self._shapes:
            self._shapes, self._values = shapes, values
            return
        if shapes == self._shapes and list(shapes) == list(self._shapes):
            self._values = self._values + values
            return
        other = Totals(self.device)
        other._shapes, other._values = shapes, values
        together = _union(self._shapes, shapes)
        self._values = self._aligned(together) + other._aligned(together)
        self._shapes = together

    def _aligned(self, shapes: dict[str, Shapes]) -> Tensor:
        """The values in the order of ``shapes``, with zeros for missing names."""
        if list(shapes) == list(self._shapes):
            return self._values
        sizes = [_size(each) for each in self._shapes.values()]
        own = dict(zip(self._shapes, torch.split(self._values, sizes)))
        zeros = self._values.new_zeros(max([0, *map(_size, shapes.values())]))
        parts = [own[name] if name in own else zeros[: _size(each)] for name, each in shapes.items()]
        return torch.cat(parts) if parts else self._values


def _size(shapes: Shapes) -> int:
    return sum(map(prod, shapes))


def _union(one: dict[str, Shapes], other: dict[str, Shapes]) -> dict[str, Shapes]:
    for name in one.keys() & other.keys():
        if one[name] != other[name]:
            message = f"the tensors of the metric '{name}' have the shapes {one[name]} and {other[name]}"
            raise TPError(f"{message}; what adds up has one shape in all batches (rows to join: tp_core.Joined)")
    return {**one, **other}


class JoinedRows:
    """Named columns whose rows are joined in the order of the data, independent of batches and processes."""

    def __init__(self) -> None:
        self._parts: dict[str, list[tuple[int, tuple[Any, ...]]]] = {}

    def add(self, number: int, states: Mapping[str, Joined]) -> None:
        """Add the rows of batch ``number``, counted over all processes."""
        for name, state in states.items():
            self._parts.setdefault(name, []).append((number, tuple(map(_column, state.columns))))

    def read(self, processes: ProcessGroup) -> dict[str, Arrays]:
        """The rows of all processes, by name, on the first process; an empty dictionary on the others."""
        own = {
            name: [(number, tuple(column.cpu() for column in columns)) for number, columns in parts]
            for name, parts in self._parts.items()
        }
        parts: dict[str, list[tuple[int, tuple[Tensor, ...]]]] = {}
        for each in processes.collect(own):
            for name, found in each.items():
                parts.setdefault(name, []).extend(found)
        ordered = {name: [rows for _, rows in sorted(found, key=_number)] for name, found in sorted(parts.items())}
        return {name: tuple(torch.cat(column).numpy() for column in zip(*rows)) for name, rows in ordered.items()}


def _number(part: tuple[int, Any]) -> int:
    return part[0]


def _column(values: Any) -> Tensor:
    """A column as a tensor on its device: float64, int64 or bool."""
    column = values.detach() if isinstance(values, Tensor) else torch.as_tensor(np.asarray(values))
    if column.dtype == torch.bool:
        return column
    return column.double() if column.is_floating_point() else column.long()


def states_of(output: ModelOutput) -> dict[str, MetricState]:
    """The metrics of a batch, named ``target/metric``."""
    return {f"{target}/{name}": state for target, own in output.outputs.items() for name, state in own.metrics.items()}


def divided(states: Mapping[str, MetricState]) -> tuple[dict[str, tuple[Any, ...]], dict[str, Joined]]:
    """Metrics that are summed, and metrics whose rows are joined."""
    adding = {name: state for name, state in states.items() if not isinstance(state, Joined)}
    return adding, {name: state for name, state in states.items() if isinstance(state, Joined)}


def computed(arrays: Mapping[str, Arrays], facts: Mapping[str, MetricFacts]) -> dict[str, float]:
    """The final values of metrics. A metric that is not declared is the mean of (sum, count).

    Raises:
        TPError: a metric is neither declared nor a (sum, count).
    """
    return {name: _computed(name, values, facts.get(name)) for name, values in arrays.items()}


def _computed(name: str, values: Arrays, facts: MetricFacts | None) -> float:
    compute = ratio if facts is None else facts.compute
    if compute is ratio and [value.shape for value in values] != [(), ()]:
        raise no_mean(name)
    return float(compute(*values))
