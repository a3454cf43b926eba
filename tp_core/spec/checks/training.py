"""Checks for parts of a model that training does not reach, such as targets without data and unread streams."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tp_core.options.choice import Chosen
from tp_core.spec.choices.module_nodes import all_modules, node_of
from tp_core.spec.errors import Problems, SpecProblem
from tp_core.spec.schema import Spec
from tp_core.spec.trained.provenance import versions_of_model


def check_training(spec: Spec, problems: Problems) -> None:
    """Report targets and streams without data, data that trains nothing, and a ``static_graph`` that sets break."""
    sets = spec.sets()
    for chosen in spec.model.targets:
        if not any(chosen in part.model.targets for part in sets.values()):
            fed = _fed(spec, "targets", [target.instance_name for target in spec.model.targets])
            message = (
                f"no data set feeds the target '{chosen.instance_name}' ({fed}): add it to one of them, or remove it"
            )
            problems.add(chosen.path, message, node_of(spec.tree, chosen), key=True)
        for problem in chosen.config.check_training(spec):
            path = f"{chosen.path}.{problem.option}".removesuffix(".")
            problems.add(path, problem.message, node_of(spec.tree, chosen, problem.option))
    for name, stream in spec.model.streams.items():
        if not stream.same_as and not any(name in part.model.streams for part in sets.values()):
            fed = _fed(spec, "streams", list(spec.model.streams))
            message = f"no data set feeds this stream ({fed}): add it to one of them, or remove it"
            problems.add(f"model.streams.{name}", message, spec.tree.find(("model", "streams", name)), key=True)
    for name, data in spec.data.sets.items():
        if data.mixing.targets == []:
            place = ("data", "sets", name, "targets")
            problems.add(
                ".".join(place), "is empty; leave it out for all of the model's targets", spec.tree.find(place)
            )
    for name, part in sets.items():
        if part.model.targets and not any(target.config.weight for target in part.model.targets):
            where: tuple[str, ...] = ("data", "sets", name) if name else ("model", "target")
            whose = f"of the data set '{name}'" if name else "of the model"
            message = (
                f"the targets {whose} have weight 0: {', '.join(t.instance_name for t in part.model.targets)}; nothing "
            )
            problems.add(".".join(where), message + "would be trained", spec.tree.find(where), key=True)
    strategy = spec.train.strategy
    for problem in strategy.config.check_training(spec):
        at = f"{strategy.path}.{problem.option}" if problem.option else strategy.path
        problems.add(at, problem.message, node_of(spec.tree, strategy, problem.option))


def _fed(spec: Spec, key: str, every: list[str]) -> str:
    """A description of the names that each data set feeds."""
    given = {name: getattr(part.mixing, key) for name, part in spec.data.sets.items()}
    return "; ".join(
        f"data.sets.{name} feeds {', '.join(every if names is None else names)}" for name, names in given.items()
    )


def training_notes(spec: Spec) -> list[SpecProblem]:
    """Notes on possible mistakes, by place: parts that are not trained, models of other versions."""
    notes = Problems()
    for chosen in all_modules(spec):
        for option, path in chosen.config.models().items():
            for note in versions_of_model(path):
                notes.add(f"{chosen.path}.{option}", note, node_of(spec.tree, chosen, option))
    for chosen in spec.model.targets:
        if not chosen.config.weight:
            message = f"is 0: the loss of '{chosen.instance_name}' is measured, and trains nothing"
            notes.add(f"{chosen.path}.weight", message, node_of(spec.tree, chosen, "weight"))
    read, decoder_read = _read(spec)
    if not read and not decoder_read:
        return notes
    for name, stream in spec.model.streams.items():
        kin = {name, stream.same_as, *(n for n, other in spec.model.streams.items() if other.same_as == name)}
        if not name or kin & read:
            continue
        message = "no target reads this stream: it is computed, and not trained"
        lenders = [stream.encoder_of, *(n for n, other in spec.model.streams.items() if other.encoder_of == name)]
        if spec.model.fusion is not None:
            fusion = spec.model.fusion.name
            message = f"no target reads this stream behind '{fusion}': what only its last states need is not trained"
        elif read & {*lenders}:
            message = "no target reads this stream: its embedding is computed, and not trained"
        node = spec.tree.find(("model", "streams", name))
        notes.add(f"model.streams.{name}", message, node, key=True)
    if spec.model.decoder is not None and not decoder_read:
        message = "no target reads the decoder, but a stream: it is computed, and not trained"
        notes.add(spec.model.decoder.path, message, node_of(spec.tree, spec.model.decoder), key=True)
    return notes


def render_note(note: SpecProblem) -> str:
    """A note formatted like a problem, with its place."""
    return note._replace(message=f"note: {note.message}").render()


def _read(spec: Spec) -> tuple[set[str], bool]:
    """(streams whose final states a target is trained on, True if a target is trained on the decoder's states)."""
    read: set[str] = set()
    decoder_read = False
    for part in spec.sets().values():
        names = [name for name in part.model.streams if name]
        for chosen in _trained(part):
            stream = chosen.config.stream
            if stream is not None:
                read.add(stream)
                continue
            decoder_read = decoder_read or part.model.decoder is not None
            read.update(names if chosen.config.reads_streams else names[:1])
    return read, decoder_read


def _trained(spec: Spec) -> Iterator[Chosen[Any]]:
    """The targets whose weights are trained, by their own loss or by that of a target that reads their scores."""
    names = [chosen.instance_name for chosen in spec.model.targets]
    through: set[str] = set()
    for chosen in spec.model.targets:
        if chosen.config.weight:
            through.update(chosen.config.learns_through([name for name in names if name != chosen.instance_name]))
    for chosen in spec.model.targets:
        if chosen.config.weight or chosen.instance_name in through:
            yield chosen
