"""The ports of a spec's modules fit: what each asks for is there, with the sizes and ids that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tp_core import discovery
from tp_core.options.choice import Chosen
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec, Usual
from tp_core.ports import TASK_IDS, Port
from tp_core.spec.errors import Problems
from tp_core.spec.labels import label_of
from tp_core.spec.module_nodes import Place, node_of, placed
from tp_core.spec.module_ports import fields, withdrawn
from tp_core.spec.nodes import Node
from tp_core.spec.schema import Spec
from tp_core.suggest import did_you_mean

#: What gives states of a kind that a target needs.
_STATES = {
    "causal": "an encoder with mask: causal, or a decoder",
    "two_directions": "an encoder whose directions are kept apart: birnn, bilstm or bigru",
}


class Given(NamedTuple):
    """A port that is there.

    Attributes:
        by: the module that provides it; None: the loop that trains data sets in turn.
    """

    spec: FieldSpec
    by: Chosen[Any] | None


Ports = dict[Port, Given]


def check_fit(spec: Spec, root: Node, problems: Problems) -> None:
    """Add what modules ask for and do not get, or get otherwise than they need it."""
    board = Board(spec)
    for place in placed(spec):
        for port, wanted in fields(place.chosen.config, "requires", place.context).items():
            given = board.given(place, port)
            node = node_of(root, place.chosen)
            if given is None:
                if message := board.missing(place, port):
                    problems.add(place.chosen.path, message, node, key=True)
            elif (message := _unlike(port, wanted, given)) and not _told(problems, place.chosen, given.by):
                # What a module has said of itself, it says better.
                problems.add(place.chosen.path, message, node, key=True)


class Board:
    """What the modules of a spec make available, and where."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.processor = spec, spec.data.processor
        #: What the batches have.
        self.batch: Ports = {}
        #: Published at each place, by the place's module, for modules after it.
        self._published: dict[str, Ports] = {}
        #: Properties of the final states of each stream; of the decoder's under None.
        self.states: dict[str | None, Ports] = {}
        self.weights: Ports = {}
        self._read(list(placed(spec)))

    def _read(self, places: list[Place]) -> None:
        model = self.spec.model
        source: dict[str, Ports] = {}
        own: Ports = {}
        for place in places:
            provided = fields(place.chosen.config, "provides", place.context)
            made = {port: Given(spec, place.chosen) for port, spec in provided.items()}
            if place.owner is self.processor:
                self.batch |= {port: each for port, each in made.items() if port.kind in _OF_BATCH}
            if place.part not in ("embedding", "encoder", "fusion", "target_embedding", "decoder", "target"):
                continue
            behind = place.part in ("target_embedding", "decoder")
            published = own if behind else source.setdefault(place.stream, {})
            before = published if place.part != "fusion" else _together(source)
            self._published[place.chosen.path] = dict(before)
            if place.part == "decoder":  # it reads the memory, and publishes anew
                self._published[place.chosen.path] = {**source.get(place.stream, {}), **own}
                own = published = {} if place.chosen is place.owner else own
            for port in withdrawn(place.chosen.config, place.context):
                published.pop(port, None)
            new = {port: each for port, each in made.items() if port.kind == "published"}
            published.update(new)
            states = {port: each for port, each in made.items() if port.kind == "states"}
            weights = {port: each for port, each in made.items() if port.kind == "weight"}
            if place.part in ("encoder", "decoder"):
                side = None if behind else place.stream
                self.states[side] = states if place.chosen is place.owner else {**self.states[side], **states}
            elif place.part == "fusion":
                before = {} if place.chosen is place.owner else self.states[place.stream]
                self.states = {name: {**before, **states} for name in model.streams}
                for each in source.values():
                    each.update(new)
            if place.part == "embedding":
                self.weights = {**weights, **self.weights}
            elif place.part == "target_embedding":  # modules after the decoder use the target vocabulary
                self.weights = {**self.weights, **weights}
        for name, stream in model.streams.items():
            lender = stream.same_as or stream.encoder_of
            if lender:
                self.states.setdefault(name, self.states.get(lender, {}))
            if stream.same_as:
                source.setdefault(name, source.get(stream.same_as, {}))
        self._source, self._decoded = source, own
        if self.spec.data.name:  # batches of data sets trained in turn say which of them they come from
            self.batch[TASK_IDS] = Given(FieldSpec(("batch",)), None)

    def given(self, place: Place, port: Port) -> Given | None:
        """The port that a module asks for, where it stands."""
        if port.kind == "input" and place.part == "target_embedding":
            return self.batch.get(Port.target_input(port.name))
        if port.kind == "input":
            return self.batch.get(Port.input(port.name, place.stream), self.batch.get(Port.input(port.name)))
        if port.kind == "labels":
            found = label_of(port, place.owner.called, self.batch)
            return None if found is None else self.batch[found]
        if port.kind == "weight":
            return self.weights.get(port)
        if port.kind == "states":
            return self._states(place).get(port)
        if port.kind == "published":
            return self._before(place).get(port)
        return self.batch.get(port)

    def _states(self, place: Place) -> Ports:
        read_stream = place.owner.config.stream is not None if place.part == "target" else place.part != "decoder"
        return self.states.get(None if None in self.states and not read_stream else place.stream, {})

    def _before(self, place: Place) -> Ports:
        if place.part != "target":
            return self._published.get(place.chosen.path, {})
        if self.spec.model.decoder is not None and place.owner.config.stream is None:
            return self._decoded
        return self._source.get(place.stream, {})

    def missing(self, place: Place, port: Port) -> str:
        """The message for a port that is not there; empty where nothing can be known without a processor."""
        if port.kind == "weight":
            named = f"needs the weights of a '{port.name}' embedding to tie to, and the model has none; "
            return named + f"add '{port.name}'"
        if port.kind == "states":
            hint = _STATES.get(port.name, "another encoder")
            return f"needs {port.name} states, which {self._last(place)} does not give; use {hint}"
        if port.kind == "published":
            near = did_you_mean(port.name, [each.name for each in self._before(place)])
            return f"needs {port}, which no module before it provides" + (f"; {near}" if near else "")
        if self.processor is None:
            return ""
        kind = "target_input" if place.part == "target_embedding" and port.kind == "input" else port.kind
        wanted = Port(kind, port.name, place.stream if kind == "input" and place.stream else "")
        there = [each for each in self.batch if each.kind == kind and (kind == "labels" or each.of in ("", wanted.of))]
        names = sorted(dict.fromkeys(_shown(each) for each in there))
        only = f"{', '.join(names)} only" if names else "none"
        near = did_you_mean(port.name, [each.name for each in there])
        message = f"needs {wanted}; {self.processor.path} provides {only}" + (f"; {near}" if near else "")
        return message + _providers(wanted._replace(of=""), place.context)

    def _last(self, place: Place) -> str:
        if None in self.states and place.owner.config.stream is None and self.spec.model.decoder is not None:
            return self.spec.model.decoder.path
        if self.spec.model.fusion is not None:
            return self.spec.model.fusion.path
        return self.spec.model.streams[place.stream].encoder.path


_OF_BATCH = ("input", "target_input", "labels")


def check_labels(spec: Spec, root: Node, problems: Problems) -> None:
    """Add targets of ``data.labels`` that the model does not have, or that the processor makes no labels of."""
    path = "data.labels"
    if spec.data.name and "labels" in root.find(("data", "sets", spec.data.name)).mapping:
        path = f"data.sets.{spec.data.name}.labels"
    board, names = Board(spec), [target.called for target in spec.model.targets]
    for name in spec.data.options.labels:
        node = root.find((*path.split("."), name))
        if name not in names:
            near = did_you_mean(name, names) or f"the targets are {', '.join(names) or 'none'}"
            problems.add(f"{path}.{name}", f"the model has no target '{name}'; {near}", node, key=True)
        elif board.processor is not None and not any(p.kind == "labels" and p.of == name for p in board.batch):
            message = f"'{board.processor.name}' makes no labels for each target; it has: "
            kinds = ", ".join(sorted({p.name for p in board.batch if p.kind == "labels"})) or "none"
            problems.add(f"{path}.{name}", message + kinds, node, key=True)


def shared_weights(spec: Spec) -> Mapping[Port, FieldSpec]:
    """The weights that the embeddings of a model share."""
    return {port: given.spec for port, given in Board(spec).weights.items()}


def _together(source: Mapping[str, Ports]) -> Ports:
    return {port: given for ports in source.values() for port, given in ports.items()}


def _shown(port: Port) -> str:
    return f"{port.name} (of {port.of})" if port.of else port.name


def _told(problems: Problems, *modules: Chosen[Any] | None) -> bool:
    """True if a module has a problem already."""
    paths = tuple(each.path for each in modules if each is not None)
    return any(problem.path == path or problem.path.startswith(f"{path}.") for problem in problems for path in paths)


def _unlike(port: Port, wanted: FieldSpec, given: Given) -> str:
    """The difference between what is asked for and what is there, as a message; empty where they agree."""
    who = "data.sets" if given.by is None else given.by.path
    of_batch = port.kind in _OF_BATCH
    if _differ(wanted.shape, given.spec.shape, whole=of_batch):
        expected, found = (", ".join(map(str, spec.shape)) for spec in (wanted, given.spec))
        return f"needs {port} of shape ({expected}); {who} gives ({found})"
    if of_batch and wanted.dtype != given.spec.dtype:
        return f"needs {port} of the type {wanted.dtype}; {who} gives {given.spec.dtype}"
    if wanted.high is not None and given.spec.high is not None and given.spec.high > wanted.high:
        last = given.spec.high - 1
        return f"knows {port} from 0 to {wanted.high - 1}; {who} gives up to {last}"
    return ""


def _differ(wanted: tuple[int | str, ...], given: tuple[int | str, ...], whole: bool) -> bool:
    """True where a size differs that both know.

    Args:
        whole: the number of dimensions counts as well, and which of them is the batch.
    """
    if len(wanted) != len(given):
        return whole
    known = [(a, b) for a, b in zip(wanted, given) if (_exact(a) and _exact(b)) or (whole and "batch" in (a, b))]
    return any(a != b for a, b in known)


def _exact(size: int | str) -> bool:
    """True for a size that is no symbol, and that the batch does not decide."""
    return isinstance(size, int) and not isinstance(size, Usual)


def _providers(port: Port, context: BuildContext) -> str:
    """A hint at the installed processors that provide a label or batch field when no option says otherwise."""
    found = []
    for entry in discovery.index().entries("processor"):
        try:
            config = discovery.load(entry)()
            if any(each[:2] == port[:2] for each in config.provides(context)):
                found.append(f"'{entry.name}'")
        except Exception:  # one that is broken, or needs options, is no hint
            continue
    return f" (by default, '{port.name}' comes from the processor {' or '.join(found)})" if found else ""
