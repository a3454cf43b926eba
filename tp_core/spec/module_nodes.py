"""The places of modules in a spec."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tp_core.options.choice import Chosen, choices_in
from tp_core.options.context import BuildContext
from tp_core.spec.canonical import called
from tp_core.spec.context import context_of, data_context
from tp_core.spec.nodes import Node
from tp_core.spec.schema import Spec
from tp_core.use import in_use


def node_of(root: Node, chosen: Chosen[Any], option: str = "") -> Node:
    """The node of a chosen module, or of one of its options, in the merged tree."""
    options = along(root, chosen.path)
    default = root.find(("model",)).mapping.get(option)
    if option and default is not None and option not in options.mapping:
        return default
    return options.mapping.get(option, options)


def along(node: Node, path: str, key: str = "") -> Node:
    """The deepest node that exists along a path, in which the modules of lists stand by what they are called.

    Args:
        path: whose parts may have dots in them.
        key: of the node.
    """
    found = [(part, each) for part, each in _below(node, key) if f"{path}.".startswith(f"{part}.")]
    if not found:
        return node
    part, below = max(found, key=lambda each: len(each[0]))
    return along(below, path[len(part) + 1 :], part)


def _below(node: Node, key: str) -> Iterator[tuple[str, Node]]:
    """The nodes inside one, by their part of a path."""
    yield from node.mapping.items()
    for item in node.mapping.get("modules", node).items:
        if isinstance(item.value, str):
            yield item.value, item
        elif len(item.mapping) == 1:
            yield called(item, key), next(iter(item.mapping.values()))


def with_context(spec: Spec) -> Iterator[tuple[Chosen[Any], BuildContext]]:
    """The modules of a spec, each with those that its options choose, and what they may know of the model around them.

    A model that is used does without those that make labels only.
    """
    for chosen, context in _own_with_context(spec):
        yield chosen, context
        yield from within_context(chosen, context)


def within_context(chosen: Chosen[Any], context: BuildContext) -> Iterator[tuple[Chosen[Any], BuildContext]]:
    """The modules that a module's options choose, and those that theirs choose, as :func:`with_context` gives them."""
    for option, each in choices_in(chosen.config):
        if not (in_use() and option in chosen.config.makes_labels):
            inner = chosen.config.inner_context(option, context)
            yield each, inner
            yield from within_context(each, inner)


def _own_with_context(spec: Spec) -> Iterator[tuple[Chosen[Any], BuildContext]]:
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
    for chosen in spec.data.chosen():
        yield chosen, behind._replace(grid=data_context(spec).grid)  # of whichever stream reads pictures
    for chosen in spec.train.chosen():
        yield chosen, behind


def every_module(spec: Spec) -> Iterator[Chosen[Any]]:
    """The modules of a spec, of all its data sets and sides."""
    for part in spec.sets().values():
        for chosen, _ in with_context(part):
            yield chosen
