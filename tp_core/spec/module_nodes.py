"""The places of modules in a spec."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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
    node = root.find(_parts(chosen.path.removesuffix(f".{name}")))
    node = node.mapping.get("modules", node)
    for item in node.items:
        if called(item, chosen.kind) == name:
            node = item
    found = node.find((chosen.written, option) if option else (chosen.written,))
    default = root.find(("model",)).mapping.get(option)
    if option and default is not None and option not in node.find((chosen.written,)).mapping:
        return default
    return found


def _parts(path: str) -> tuple[str | int, ...]:
    """The keys of a path, with the numbers of items of lists: ``data.train[1]``."""
    found: list[str | int] = []
    for part in path.split("."):
        key, _, number = part.removesuffix("]").partition("[")
        found += [key, int(number)] if number.isdecimal() and part.endswith("]") else [part]
    return tuple(found)


def with_context(spec: Spec) -> Iterator[tuple[Chosen[Any], BuildContext]]:
    for name, stream in spec.model.streams.items():
        inside: list[Chosen[Any]] = [] if stream.same_as else [*stream.embedding.modules]
        inside += [] if stream.same_as or stream.encoder_of else [stream.encoder]
        for chosen in inside:
            yield chosen, context_of(spec, name)
    behind = context_of(spec, side="target")
    for chosen in spec.model.target_embedding.modules if spec.model.target_embedding else ():
        yield chosen, behind
    if spec.model.decoder is not None:
        yield spec.model.decoder, behind
    if spec.model.fusion is not None:
        yield spec.model.fusion, behind
    for chosen in spec.model.targets:
        yield chosen, context_of(spec, chosen.config.stream or "", side="target")
    for chosen in (*spec.data.chosen(), *spec.data.sources()):
        yield chosen, behind._replace(grid=data_context(spec).grid)  # of whichever stream reads pictures
    training: list[Chosen[Any]] = [spec.train.optimizer, spec.train.schedule, spec.train.strategy, *spec.train.hooks]
    for chosen in training:
        yield chosen, behind


def every_module(spec: Spec) -> Iterator[Chosen[Any]]:
    """The modules of a spec, of all its data sets and sides."""
    for part in spec.sets().values():
        for chosen, _ in with_context(part):
            yield chosen
