"""The ports that the modules of a spec provide, and the places where they are available."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tp_core.options.choice import Chosen
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import TASK_IDS, Port
from tp_core.spec.choices.module_nodes import Place, placed
from tp_core.spec.choices.module_ports import fields, withdrawn
from tp_core.spec.labels import label_of
from tp_core.spec.schema import Spec


class Given(NamedTuple):
    """An available port.

    Attributes:
        by: the module that provides it; None if the training loop over several data sets provides it.
    """

    spec: FieldSpec
    by: Chosen[Any] | None


Ports = Mapping[Port, Given]

#: Kinds of the ports that batches provide.
OF_BATCH = ("input", "target_input", "labels")

#: The name of a stream; None for the decoder's side.
Side = str | None


class AvailablePorts:
    """The ports of a spec's modules.

    Attributes:
        batch: the ports of the processor's batches.
        weights: the ports of the weights that embeddings share.
    """

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self.batch: Ports = {}
        self.weights: Ports = {}
        #: Properties of the final states of each side.
        self._states: dict[Side, Ports] = {}
        #: The values that the modules of each side have published so far.
        self._published: dict[Side, Ports] = {name: {} for name in (*spec.model.streams, None)}
        #: Module path and stream → the values that were published before this module.
        self._before: dict[tuple[str, str], Ports] = {}
        for place in placed(spec, shared=True):
            self._add(place)
        if spec.data.name:  # with several data sets, batches have the number of their data set
            self.batch = {**self.batch, TASK_IDS: Given(FieldSpec(("batch",)), None)}

    def _add(self, place: Place) -> None:
        provided = fields(place.chosen.config, "provides", place.context)
        made = {port: Given(spec, place.chosen) for port, spec in provided.items()}
        if place.owner is self._spec.data.processor:
            self.batch = {**self.batch, **_of_kinds(made, *OF_BATCH)}
        if place.part in ("embedding", "encoder", "fusion", "target_embedding", "decoder"):
            self._publish(place, _of_kinds(made, "published"))
        if place.part in ("encoder", "fusion", "decoder"):
            for side in self._sides(place):
                before = {} if place.chosen is place.owner else self._states[side]
                self._states[side] = {**before, **_of_kinds(made, "states")}
        if place.part == "embedding":
            self.weights = {**_of_kinds(made, "weight"), **self.weights}
        if place.part == "target_embedding":  # modules after the decoder use the target vocabulary
            self.weights = {**self.weights, **_of_kinds(made, "weight")}

    def _sides(self, place: Place) -> list[Side]:
        """The sides whose states the module processes."""
        if place.part == "fusion":
            return [*self._spec.model.streams]
        return [None if place.part in ("target_embedding", "decoder") else place.stream]

    def _publish(self, place: Place, new: Ports) -> None:
        sides = self._sides(place)
        read = [place.stream, None] if place.part == "decoder" else sides
        self._before[place.chosen.path, place.stream] = _joined([self._published[side] for side in read])
        if (
            place.chosen is self._spec.model.decoder
        ):  # the decoder makes new states, about which nothing is published yet
            self._published[None] = {}
        gone = withdrawn(place.chosen.config, place.context)
        for side in sides:
            kept = {port: given for port, given in self._published[side].items() if port not in gone}
            self._published[side] = {**kept, **new}

    def given(self, place: Place, port: Port) -> Given | None:
        """The available port for a port that the module at a place requires."""
        if port.kind == "input" and place.part in ("embedding", "target_embedding"):
            published = self.published(place).get(Port.published(port.name))
            if published is not None:  # a published value describes the sequence at this place
                return published
        if port.kind == "input" and place.part == "target_embedding":
            return self.batch.get(Port.target_input(port.name))
        if port.kind == "input":
            return self.batch.get(Port.input(port.name, place.stream), self.batch.get(Port.input(port.name)))
        if port.kind == "labels":
            found = label_of(port, place.owner.instance_name, self.batch)
            return None if found is None else self.batch[found]
        if port.kind == "weight":
            return self.weights.get(port)
        if port.kind == "states":
            return self._states.get(self.side_read(place), {}).get(port)
        if port.kind == "published":
            return self.published(place).get(port)
        return self.batch.get(port)

    def published(self, place: Place) -> Ports:
        """The published values that are available to a module."""
        if place.part == "target":
            return self._published.get(self.side_read(place), {})
        return self._before.get((place.chosen.path, place.stream), {})

    def side_read(self, place: Place) -> Side:
        """The side whose states a module reads. A target without a stream reads the decoder's side, if there is one."""
        after_decoder = place.part == "target" and self._spec.model.decoder is not None
        return None if after_decoder and place.owner.config.stream is None else place.stream


def shared_weights(spec: Spec) -> Mapping[Port, FieldSpec]:
    """The weights that the embeddings of a model share."""
    return {port: given.spec for port, given in AvailablePorts(spec).weights.items()}


def _of_kinds(ports: Ports, *kinds: str) -> Ports:
    return {port: given for port, given in ports.items() if port.kind in kinds}


def _joined(parts: list[Ports]) -> Ports:
    return {port: given for ports in parts for port, given in ports.items()}
