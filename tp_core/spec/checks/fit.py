"""Checks that the required ports of a spec's modules are provided, with matching sizes and ids."""

from __future__ import annotations

import itertools
from typing import Any

from tp_core import discovery
from tp_core.options.choice import Chosen
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec, Usual
from tp_core.options.ports import Port
from tp_core.spec.choices.available_ports import OF_BATCH, AvailablePorts, Given, Side
from tp_core.spec.choices.module_nodes import Place, node_of, placed
from tp_core.spec.choices.module_ports import fields
from tp_core.spec.errors import Problems
from tp_core.spec.schema import Spec
from tp_core.spec.tree.nodes import Node
from tp_core.suggest import did_you_mean

#: Maximum number of processors that a hint names.
_SHOWN = 5

#: Modules that provide the states that a target needs.
_STATES = {
    "causal": "an encoder with mask: causal, or a decoder",
    "two_directions": "an encoder whose directions are kept apart: birnn, bilstm or bigru",
}


def check_fit(spec: Spec, root: Node, problems: Problems) -> None:
    """Report required ports that are missing or do not match the requirement."""
    ports = AvailablePorts(spec)
    _check_labels(spec, ports, root, problems)
    for place in placed(spec, shared=True):
        if place.stream not in spec.model.streams:  # another check reports the target's option
            continue
        for port, wanted in fields(place.chosen.config, "requires", place.context).items():
            given = ports.given(place, port)
            node = node_of(root, place.chosen)
            if given is None:
                if message := _missing(spec, ports, place, port):
                    problems.add(place.chosen.path, message, node, key=True)
            elif message := _misaligned(spec, ports, place, port, wanted):
                problems.add(place.chosen.path, message, node, key=True)
            elif (message := _unlike(port, wanted, given)) and not _told(problems, place.chosen, given.by):
                # If a module has already reported a problem itself, that message is better.
                problems.add(place.chosen.path, message, node, key=True)


def _check_labels(spec: Spec, ports: AvailablePorts, root: Node, problems: Problems) -> None:
    """Check that the targets of ``data.labels`` exist and that the processor makes labels for each."""
    path = "data.labels"
    if spec.data.name and "labels" in root.find(("data", "sets", spec.data.name)).mapping:
        path = f"data.sets.{spec.data.name}.labels"
    names, processor = [target.instance_name for target in spec.model.targets], spec.data.processor
    made = [port for port in ports.batch if port.kind == "labels"]
    for name in spec.data.options.labels:
        node = root.find((*path.split("."), name))
        if name not in names:
            near = did_you_mean(name, names) or f"the targets are {', '.join(names) or 'none'}"
            problems.add(f"{path}.{name}", f"the model has no target '{name}'; {near}", node, key=True)
        elif processor is not None and all(port.of != name for port in made):
            kinds = ", ".join(sorted({port.name for port in made})) or "none"
            message = f"'{processor.name}' makes no labels for each target; it has: {kinds}"
            problems.add(f"{path}.{name}", message, node, key=True)


def _missing(spec: Spec, ports: AvailablePorts, place: Place, port: Port) -> str:
    """The message for a missing port; empty if nothing can be known without a processor."""
    if port.kind == "weight":
        named = f"a '{port.name}' embedding to tie to, and the model has none"
        return f"needs the weights of {named}; add '{port.name}'"
    if port.kind == "states":
        hint = _STATES.get(port.name, "another encoder")
        return f"needs {port.name} states, which {_last(spec, ports.side_read(place))} does not give; use {hint}"
    if port.kind == "published":
        near = did_you_mean(port.name, [each.name for each in ports.published(place)])
        return f"needs {port}, which no module before it provides" + (f"; {near}" if near else "")
    if spec.data.processor is None:
        return ""
    kind = "target_input" if place.part == "target_embedding" and port.kind == "input" else port.kind
    wanted = Port(kind, port.name, place.stream if kind == "input" else "")
    there = [each for each in ports.batch if each.kind == kind and (kind == "labels" or each.of in ("", wanted.of))]
    names = sorted({_shown(each) for each in there})
    only = f"{', '.join(names)} only" if names else "none"
    message = f"needs {wanted}; {spec.data.processor.path} provides {only}"
    if any(each.name == port.name for each in there):  # provided for other targets only
        return f"{message}; name its column: data.labels.{place.owner.instance_name}"
    near = did_you_mean(port.name, [each.name for each in there])
    return message + (f"; {near}" if near else "") + _providers(wanted, place.context)


def _misaligned(spec: Spec, ports: AvailablePorts, place: Place, port: Port, wanted: FieldSpec) -> str:
    """The message for a per-token field that is added to a sequence of something else; else empty."""
    if place.part not in ("embedding", "target_embedding") or not _per_token(port, wanted):
        return ""
    if place.chosen.config.makes_sequence or Port.published(port.name) in ports.published(place):
        return ""
    component = spec.model.target_embedding if place.part == "target_embedding" else None
    component = component or spec.model.streams[place.stream].embedding
    before = itertools.takewhile(lambda each: each is not place.owner, component.modules)
    if any(_per_token(*item) for each in before for item in fields(each.config, "requires", place.context).items()):
        return ""
    return f"adds {port} to each token, and the sequence of '{component.modules[0].name}' has none"


def _per_token(port: Port, spec: FieldSpec) -> bool:
    """True for an input with one value per position of its sequence."""
    return port.kind == "input" and spec.shape[1:2] == ("length",)


def _last(spec: Spec, side: Side) -> str:
    """The path of the module that makes a side's final states."""
    model = spec.model
    last = model.decoder if side is None else model.fusion or model.streams[side].encoder
    assert last is not None
    return last.path


def _shown(port: Port) -> str:
    return f"{port.name} (of {port.of})" if port.of else port.name


def _told(problems: Problems, *modules: Chosen[Any] | None) -> bool:
    """True if a problem of a module has already been reported."""
    paths = tuple(each.path for each in modules if each is not None)
    return any(problem.path == path or problem.path.startswith(f"{path}.") for problem in problems for path in paths)


def _unlike(port: Port, wanted: FieldSpec, given: Given) -> str:
    """The message for a mismatch between a required and a provided port; empty if they match."""
    who = "data.sets" if given.by is None else given.by.path
    of_batch = port.kind in OF_BATCH
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
    """True if a size differs that both shapes specify.

    Args:
        whole: True to compare the number of dimensions and the batch dimension, too.
    """
    if len(wanted) != len(given):
        return whole
    known = [(a, b) for a, b in zip(wanted, given) if (_exact(a) and _exact(b)) or (whole and "batch" in (a, b))]
    return any(a != b for a, b in known)


def _exact(size: int | str) -> bool:
    """True for a fixed size, which is neither a symbol nor decided by the batch."""
    return isinstance(size, int) and not isinstance(size, Usual)


def _providers(port: Port, context: BuildContext) -> str:
    """A hint at the installed processors that provide a label or batch field by default."""
    found = []
    for entry in discovery.index().entries("processor"):
        try:
            config = discovery.load(entry)()
            if any(each[:2] == port[:2] for each in config.provides(context)):
                found.append(f"'{entry.name}'")
        except Exception:  # skip processors that are broken or need options
            continue
    shown = [*found[:_SHOWN], f"{len(found) - _SHOWN} others"] if len(found) > _SHOWN + 1 else found
    return f" (by default, '{port.name}' comes from the processor {' or '.join(shown)})" if found else ""
