"""The target component, which computes the loss: it reads features and labels, and returns a loss and metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from tp_core.errors import TPError
from tp_core.interfaces.batch import Batch, Inputs
from tp_core.interfaces.components import Module
from tp_core.interfaces.sequence import Features, Sequence


@dataclass
class Joined:
    """The state of a metric that sums cannot express, such as scores and labels for the area under the ROC curve.

    An evaluation concatenates the rows of all batches and processes, in the order of the data. Training logs leave such
    metrics out.

    Attributes:
        columns: tensors (rows, ...) on the device, with one row per measured item.
    """

    columns: tuple[Any, ...]


#: The state of a metric for a part of the data: a tuple of tensors of any shape that are summed over all data, such as
#: (sum, count); or a :class:`Joined`. A processor may also give numbers and arrays. ``compute`` of the metric's
#: :class:`tp_core.metrics.MetricFacts` turns the complete state into a number.
MetricState = tuple[Any, ...] | Joined


@dataclass
class TargetOutput:
    """A target's loss as a sum and its denominator, so that micro-batches and processes add up exactly.

    Attributes:
        loss_sum: sum of the losses of all counted elements, a scalar on the device.
        denominator: number of counted elements, a scalar on the device.
        metrics: name → the state of the metric for this batch, on the device. By default it is a pair of scalars
            (sum, count), and the reported value is their ratio. ``TargetConfig.measures`` declares metrics with another
            state.
    """

    loss_sum: Tensor
    denominator: Tensor
    metrics: Mapping[str, MetricState] = field(default_factory=dict)


class Target(Module, ABC):
    """A pre-training task or a downstream task: it reads features and labels, and returns a loss and metrics.

    Attributes:
        name: name of the target in the model, which sets it.
        tuned_by: name of the metric of joined rows by which :meth:`tuned` finds values, at each evaluation of a
            training; empty for a target without such values.
    """

    name: str = ""
    tuned_by: str = ""

    def labels_of(self, batch: Batch) -> Inputs:
        """The labels of this target in a batch.

        Raises:
            TPError: the batch has no labels for this target.
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

        The trainer sums it over micro-batches and processes *before* the backward pass, so that gradients do not
        depend on how a batch is divided.
        """

    @abstractmethod
    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        """Loss and metrics of a batch that has labels."""

    def read_positions(self, sequence: Sequence, batch: Batch, stream: str) -> Tensor | None:
        """The only positions of the final sequence that the target reads, such as the first one.

        The last layer of a transformer computes nothing for positions that no target of the batch reads; their states
        are zero. Positions may be repeated. They must suffice for all other methods of the target, except those
        without a batch.

        Args:
            sequence: the sequence before the last encoder or decoder, whose positions are those of the final one.
            stream: name of the stream; empty for the only one.

        Returns:
            (batch, number) int64, or None if the target may read all positions.
        """
        return None

    def labelled_rows(self, batch: Batch) -> Tensor:
        """Number of rows of :meth:`logits` that have a label, a float scalar; by default the denominator.

        A target whose denominator is another number, such as a sum of weights, overrides it.
        """
        return self.denominator(batch)

    def tables(self, features: Features, batch: Batch) -> Mapping[str, MetricState]:
        """The states of the tables that the config declares (``TargetConfig.tables``), for a batch with labels.

        Evaluations that write a report call this; like those of metrics, the states are on the device and add up.
        """
        return {}

    def connect(self, targets: Mapping[str, Target]) -> None:
        """Keep references to the other targets.

        Called once, after the model is built. A target that reads the scores of another target (distillation) keeps a
        reference to it outside of its own submodules.

        Args:
            targets: all targets of the model, by name.
        """

    def pool(self, sequence: Sequence, stream: str) -> Tensor:
        """One vector per sample of a stream, (batch, hidden), for a target with its own pooling method.

        The config of such a target declares it: ``pooling`` is None in ``TargetConfig.embeds``.
        """
        raise TypeError(f"{type(self).__name__} has no pooling of its own")

    def project(self, vectors: Tensor, stream: str) -> Tensor:
        """Project pooled vectors of a stream, (batch, hidden), to the size that the target compares, (batch, size).

        The config of such a target declares it: ``TargetConfig.embeds`` has a ``projection_size``.
        """
        raise TypeError(f"{type(self).__name__} projects no vectors")

    def logits(self, features: Features, batch: Batch) -> tuple[Tensor, Tensor]:
        """The logits from which the loss is computed, for other targets that read them (distillation).

        Returns:
            Logits (rows, classes), and a bool mask (rows,), True for a row that has a label.
        """
        raise TypeError(f"{type(self).__name__} gives no scores")

    def tuned(self, *rows: NDArray[Any]) -> Mapping[str, Tensor]:
        """New values for buffers of the target that fit an evaluation best, such as the thresholds of a decision.

        The training calls it on one process, for a target with ``tuned_by``, after each evaluation. It gives all
        processes the values. Buffers that are saved keep them in the trained model. Nothing else changes them.

        Args:
            rows: the columns of the metric ``tuned_by`` over the evaluation data of all data sets.

        Returns:
            Name of the buffer → values.
        """
        raise TypeError(f"{type(self).__name__} tunes nothing")

    def label_thresholds(self) -> Tensor | None:
        """The lowest probability of each predicted class, (classes,), of a target that predicts ``labels``.

        Averages of several models use the mean of their thresholds; by default these are 0.5.
        """
        return None

    def tuned_metrics(self, *rows: NDArray[Any]) -> Mapping[str, float]:
        """The metrics that depend on values of :meth:`tuned`, computed with the present values.

        The training replaces the metrics of the evaluation by these.

        Args:
            rows: the columns of the metric ``tuned_by`` over the evaluation data of one data set.
        """
        return {}

    def next_logits(self, features: Features) -> Tensor:
        """The logits of the next token, after the last real position, (batch, vocabulary); for generation."""
        raise TypeError(f"{type(self).__name__} does not score a next token")

    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        """One JSON-ready dictionary per sample, from a batch without labels."""
        raise TypeError(f"{type(self).__name__} makes no predictions")
