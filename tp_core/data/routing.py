"""Routes of a processor's batches into the model: inputs to a stream, labels to targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tp_core.errors import TPError
from tp_core.interfaces import ONLY, Batch, Inputs, Processor, Sample
from tp_core.spec.choices.available_ports import AvailablePorts
from tp_core.spec.labels import labels_for
from tp_core.spec.schema import Spec


@dataclass(frozen=True)
class Route:
    """The route of a processor's batches into the model.

    Attributes:
        labels: target → names of its labels in the processor's batches; None leaves labels unchanged.
        stream: stream that a single-stream processor feeds.
        targets: targets that the batches train; None for all.
        number: index of the data set among several, added to batches as ``task_ids``; None for a single data set.
    """

    labels: Mapping[str, tuple[str, ...]] | None = None
    stream: str = ONLY
    targets: tuple[str, ...] | None = None
    number: int | None = None

    def __call__(self, batch: Batch) -> Batch:
        """The batch in the form that the model reads."""
        source = {self.stream if name == ONLY else name: inputs for name, inputs in batch.source.items()}
        if self.number is not None:
            source = {name: {**inputs, "task_ids": _filled(inputs, self.number)} for name, inputs in source.items()}
        labels = batch.labels if self.labels is None else self._of_targets(batch.labels, self.labels)
        return replace(batch, source=source, labels=labels, targets=self.targets)

    @staticmethod
    def _of_targets(labels: Mapping[str, Inputs], names: Mapping[str, tuple[str, ...]]) -> dict[str, Inputs]:
        """The labels of each target whose kinds of labels are all present."""
        there = {target: [labels[name] for name in own if name in labels] for target, own in names.items()}
        return {target: _joined(target, parts) for target, parts in there.items() if len(parts) == len(names[target])}


@dataclass(frozen=True)
class Feed:
    """A processor with the route of its batches."""

    processor: Processor
    route: Route = Route()

    def collate(self, samples: list[Sample]) -> Batch:
        """A batch of samples in the form that the model reads."""
        return self.route(self.processor.collate(samples))


def _filled(inputs: Inputs, number: int) -> Tensor:
    """A number for each sequence of a side, (sequences,)."""
    return torch.full((len(next(iter(inputs.values()))),), number)


def _joined(target: str, parts: list[Inputs]) -> Inputs:
    """Combine several kinds of labels of one target.

    Raises:
        TPError: two kinds have a tensor of the same name.
    """
    joined: Inputs = {}
    for part in parts:
        if twice := joined.keys() & part.keys():
            raise TPError(f"two kinds of labels of the target '{target}' have a tensor '{min(twice)}'")
        joined |= part
    return joined


def route_of(spec: Spec, data_set: str = "") -> Route:
    """The route for the processor's batches of a spec, or of one of its data sets."""
    own = spec.of_set(data_set)
    streams = list(own.model.streams)
    targets = tuple(each.instance_name for each in own.model.targets)
    number = list(spec.data.sets).index(data_set) if data_set else None
    made = AvailablePorts(own).batch
    labels = {each.instance_name: labels_for(own, each, made) for each in own.model.targets}
    asked = {name: tuple(port.of or port.name for port in ports) for name, ports in labels.items() if ports}
    return Route(asked, streams[0] if streams else ONLY, targets if data_set else None, number)
