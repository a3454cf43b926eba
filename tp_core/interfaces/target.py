"""The component that trains the others: a target reads features and labels, and gives a loss and metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from tp_core.errors import TPError
from tp_core.interfaces.batch import Batch, Inputs
from tp_core.interfaces.components import Module
from tp_core.interfaces.sequence import Features, Sequence


@dataclass
class Joined:
    """Rows of a metric that no sums are enough for, such as scores and labels: those of all data are joined.

    Evaluations alone do so, in the order of the data, whatever the batches and processes; log lines of the training
    leave such metrics out.

    Attributes:
        columns: tensors (rows, ...), one row for each thing that is measured, on the device.
    """

    columns: tuple[Any, ...]


#: A metric of some of the data, as ``compute`` of its :class:`tp_core.metrics.MetricFacts` takes it: tensors (numbers
#: and arrays from a processor) that add up over all data, any number and of any shape, such as (sum, count); or
#: :class:`Joined` ones.
MetricState = tuple[Any, ...] | Joined


@dataclass
class TargetOutput:
    """A target's loss as a sum and its denominator, so that micro-batches and processes add up exactly.

    Attributes:
        loss_sum: sum of the losses of all counted elements, a scalar on the device.
        denominator: number of counted elements, a scalar on the device.
        metrics: name → the metric of this batch, on the device: (sum, count), scalars of which the value reported is
            the ratio, or whatever else ``TargetConfig.measures`` says how to make a number of.
    """

    loss_sum: Tensor
    denominator: Tensor
    metrics: Mapping[str, MetricState] = field(default_factory=dict)


class Target(Module, ABC):
    """A pre-training task or a downstream task: reads features and labels, gives a loss and metrics.

    Attributes:
        name: what the model calls the target; the model sets it.
    """

    name: str = ""

    def labels_of(self, batch: Batch) -> Inputs:
        """The target's own labels in a batch.

        Raises:
            TPError: the batch has none for it.
        """
        labels = batch.labels.get(self.name)
        if labels is None:
            there = ", ".join(batch.labels) or "none"
            raise TPError(f"the batch has no labels for the target '{self.name}'; it has those of: {there}")
        if not isinstance(labels, Mapping):
            raise TPError(f"the labels of the target '{self.name}' are no named tensors; expected {{'labels': tensor}}")
        return labels

    @abstractmethod
    def denominator(self, batch: Batch) -> Tensor:
        """Number of elements whose losses are summed, from the labels alone; a float scalar.

        The trainer adds it up over micro-batches and processes *before* the backward pass, so that gradients do not
        depend on how a batch was cut.
        """

    @abstractmethod
    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        """Loss and metrics of a batch that has labels."""

    def meet(self, targets: Mapping[str, Target]) -> None:
        """Get to know the model's other targets, by name. Called once, after the model is put together.

        A target that reads another's scores (distillation) remembers it, outside of its own submodules.
        """

    def pool(self, sequence: Sequence, stream: str) -> Tensor:
        """One vector per sample of a stream, (batch, hidden), of a target that pools in a way of its own.

        Its config says so: the ``pooling`` of ``TargetConfig.embeds`` is None.
        """
        raise TypeError(f"{type(self).__name__} has no pooling of its own")

    def project(self, vectors: Tensor, stream: str) -> Tensor:
        """Pooled vectors of a stream, (batch, hidden) → (batch, size), the space that the target works in.

        Its config says so: ``TargetConfig.embeds`` has a ``projection_size``.
        """
        raise TypeError(f"{type(self).__name__} projects no vectors")

    def logits(self, features: Features, batch: Batch) -> tuple[Tensor, Tensor]:
        """The scores from which the loss is computed, for a target that learns from this one or compares with it.

        Returns:
            Logits (rows, classes); and a mask (rows,), bool, True for a row that has a label.
        """
        raise TypeError(f"{type(self).__name__} gives no scores")

    def next_logits(self, features: Features) -> Tensor:
        """Scores (logits) of what comes after the last real position, (batch, vocabulary): what generation needs."""
        raise TypeError(f"{type(self).__name__} does not score a next token")

    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        """One JSON-ready dictionary per sample, from a batch without labels."""
        raise TypeError(f"{type(self).__name__} makes no predictions")
