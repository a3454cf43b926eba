"""The routes of a processor's batches into the model: the inputs go to a stream, the labels to targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from tp_core.errors import TPError
from tp_core.interfaces import ONLY, Batch, Inputs, Processor, Sample
from tp_core.spec.choices.available_ports import AvailablePorts
from tp_core.spec.labels import labels_for
from tp_core.spec.schema import Spec


@dataclass(frozen=True)
class Route:
    """The way of a processor's batches into the model.

    Attributes:
        labels: of each target, the names that the processor gives its labels; None leaves them as they are.
        stream: that a processor of one stream feeds.
        targets: that the batches are for; None for all.
        number: of the data set among those trained in turn, which the batches have as ``task_ids``; None for one alone.
    """

    labels: Mapping[str, tuple[str, ...]] | None = None
    stream: str = ONLY
    targets: tuple[str, ...] | None = None
    number: int | None = None

    def __call__(self, batch: Batch) -> Batch:
        """The batch as the model reads it."""
        source = {self.stream if name == ONLY else name: inputs for name, inputs in batch.source.items()}
        if self.number is not None:
            task = torch.full((batch.size,), self.number)
            source = {name: {**inputs, "task_ids": task} for name, inputs in source.items()}
        labels = batch.labels if self.labels is None else self._of_targets(batch.labels, self.labels)
        return replace(batch, source=source, labels=labels, targets=self.targets)

    @staticmethod
    def _of_targets(labels: Mapping[str, Inputs], names: Mapping[str, tuple[str, ...]]) -> dict[str, Inputs]:
        """The labels of each target of which all kinds are there."""
        there = {target: [labels[name] for name in own if name in labels] for target, own in names.items()}
        return {target: _joined(target, parts) for target, parts in there.items() if len(parts) == len(names[target])}


@dataclass(frozen=True)
class Feed:
    """A processor, and where its batches go."""

    processor: Processor
    route: Route = Route()

    def collate(self, samples: list[Sample]) -> Batch:
        """A batch of samples, as the model reads it."""
        return self.route(self.processor.collate(samples))


def _joined(target: str, parts: list[Inputs]) -> Inputs:
    """Labels of several kinds of one target.

    Raises:
        TPError: two kinds have a tensor of one name.
    """
    joined: Inputs = {}
    for part in parts:
        if twice := joined.keys() & part.keys():
            raise TPError(f"two kinds of labels of the target '{target}' have a tensor '{min(twice)}'")
        joined |= part
    return joined


def route_of(spec: Spec, data_set: str = "") -> Route:
    """The route of the batches that a spec's processor makes, or that of one of its data sets."""
    own = spec.of_set(data_set)
    streams = list(own.model.streams)
    targets = tuple(each.instance_name for each in own.model.targets)
    number = list(spec.data.sets).index(data_set) if data_set else None
    made = AvailablePorts(own).batch
    labels = {each.instance_name: labels_for(own, each, made) for each in own.model.targets}
    asked = {name: tuple(port.of or port.name for port in ports) for name, ports in labels.items() if ports}
    return Route(asked, streams[0] if streams else ONLY, targets if data_set else None, number)
