"""The places of modules in a spec."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from tp_core.options.context import BuildContext
from tp_core.options.target import TargetConfig
from tp_core.spec.canonical import called
from tp_core.spec.context import context_of, data_context
from tp_core.spec.nodes import Node
from tp_core.spec.schema import Spec
from tp_core.spec.schema_common import Chosen


def node_of(root: Node, chosen: Chosen[Any], option: str = "") -> Node:
    """The node of a chosen module, or of one of its options, in the merged tree."""
    own: str | None = chosen.config.name if isinstance(chosen.config, TargetConfig) else None
    name = own or chosen.written  # which may have dots
    node = root.find(tuple(chosen.path.removesuffix(f".{name}").split(".")))
    node = node.mapping.get("modules", node)
    for item in node.items:
        if called(item, chosen.kind) == name:
            node = item
    found = node.find((chosen.written, option) if option else (chosen.written,))
    default = root.find(("model",)).mapping.get(option)
    if option and default is not None and option not in node.find((chosen.written,)).mapping:
        return default
    return found


class Place(NamedTuple):
    """A module where it stands in the model.

    Attributes:
        part: the component; ``data`` and ``train`` for modules of these sections.
        stream: of an embedding or encoder, its own; of a target, the one that it reads first; else the first.
    """

    chosen: Chosen[Any]
    context: BuildContext
    part: Literal["embedding", "encoder", "fusion", "target_embedding", "decoder", "target", "data", "train"]
    stream: str


def placed(spec: Spec) -> Iterator[Place]:
    """The modules of a spec in the order in which data passes them; those of a shared stream once."""
    first = next(iter(spec.model.streams))
    for name, stream in spec.model.streams.items():
        context = context_of(spec, name)
        for chosen in () if stream.same_as else stream.embedding.modules:
            yield Place(chosen, context, "embedding", name)
        if not (stream.same_as or stream.encoder_of):
            yield Place(stream.encoder, context, "encoder", name)
    behind = context_of(spec, side="target")
    if spec.model.fusion is not None:
        yield Place(spec.model.fusion, behind, "fusion", first)
    for chosen in spec.model.target_embedding.modules if spec.model.target_embedding else ():
        yield Place(chosen, behind, "target_embedding", first)
    if spec.model.decoder is not None:
        yield Place(spec.model.decoder, behind, "decoder", first)
    for target in spec.model.targets:
        own = target.config.stream
        yield Place(target, context_of(spec, own or "", side="target"), "target", own or first)
    of_data = behind._replace(grid=data_context(spec).grid)  # of whichever stream reads pictures
    for each in spec.data.chosen():
        yield Place(each, of_data, "data", first)
    training: list[Chosen[Any]] = [spec.train.optimizer, spec.train.schedule, spec.train.strategy, *spec.train.hooks]
    for each in training:
        yield Place(each, behind, "train", first)


def with_context(spec: Spec) -> Iterator[tuple[Chosen[Any], BuildContext]]:
    """The modules of :func:`placed`, each with what it may know."""
    return ((place.chosen, place.context) for place in placed(spec))


def every_module(spec: Spec) -> Iterator[Chosen[Any]]:
    """The modules of a spec, of all its data sets and sides."""
    for part in spec.sets().values():
        for chosen, _ in with_context(part):
            yield chosen
