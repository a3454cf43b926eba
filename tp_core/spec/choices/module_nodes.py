"""The modules of a spec with their places and nodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from tp_core.options.choice import Chosen, choices_in, within
from tp_core.options.context import BuildContext
from tp_core.spec.context import context_of, data_context
from tp_core.spec.schema import Spec
from tp_core.spec.trained.use import in_use
from tp_core.spec.tree.canonical import instance_name
from tp_core.spec.tree.nodes import Node


def node_of(root: Node, chosen: Chosen[Any], option: str = "") -> Node:
    """The node of a chosen module, or of one of its options, in the merged tree.

    An option that is not set there may be set in an enclosing module or in the model.
    """
    options, *around = reversed(list(_along(root, chosen.path)))
    default = root.find(("model",)).mapping.get(option)
    if option and option not in options.mapping:
        outer = (node.mapping[option] for node in around if node is not root and option in node.mapping)
        default = next(outer, default)
        if default is not None:
            return default
    return options.mapping.get(option, options)


def along(node: Node, path: str) -> Node:
    """The deepest node that exists along a path. The path contains the names of modules in lists, not their numbers.

    Args:
        path: a path whose parts may contain dots.
    """
    *_, found = _along(node, path)
    return found


def _along(node: Node, path: str, key: str = "") -> Iterator[Node]:
    """The nodes along a path, the deepest last.

    Args:
        key: key of the node.
    """
    yield node
    found = [(part, each) for part, each in _below(node, key) if f"{path}.".startswith(f"{part}.")]
    if found:
        part, below = max(found, key=lambda each: len(each[0]))
        yield from _along(below, path[len(part) + 1 :], part)


def _below(node: Node, key: str) -> Iterator[tuple[str, Node]]:
    """The child nodes of a node by their part of the path; items of a list also by number: ``train[1]``."""
    for name, child in node.mapping.items():
        yield name, child
        yield from ((f"{name}[{number}]", item) for number, item in enumerate(child.items) if item is not child)
    for item in node.mapping.get("modules", node).items:
        if isinstance(item.value, str):
            yield item.value, item
        elif len(item.mapping) == 1:
            yield instance_name(item, key), next(iter(item.mapping.values()))


class Place(NamedTuple):
    """A module at its place in the model.

    Attributes:
        owner: the module that the spec names at this place: the module itself, or the one whose options choose it, at
            any depth.
        part: the component; ``data`` and ``train`` for modules of these sections.
        stream: the stream of an embedding or encoder; the first stream that a target reads; else the first stream.
    """

    chosen: Chosen[Any]
    owner: Chosen[Any]
    context: BuildContext
    part: Literal["embedding", "encoder", "fusion", "target_embedding", "decoder", "target", "data", "train"]
    stream: str


def placed(spec: Spec, shared: bool = False) -> Iterator[Place]:
    """The modules of a spec in the order of the data flow.

    Each module comes before the modules that its options choose. For inference, modules that only make labels are left
    out.

    Args:
        shared: True to yield shared modules once for each of their streams, False to yield them only for the first.
    """
    for place in _own_places(spec, shared):
        yield place
        for chosen, context in _within(place.chosen, place.context):
            yield place._replace(chosen=chosen, context=context)


def _own_places(spec: Spec, shared: bool) -> Iterator[Place]:
    first = next(iter(spec.model.streams))
    for name, stream in spec.model.streams.items():
        for chosen in () if stream.same_as and not shared else stream.embedding.chosen():
            yield Place(chosen, chosen, context_of(spec, stream.same_as or name), "embedding", name)
        lender = stream.same_as or stream.encoder_of
        if shared or not lender:
            yield Place(stream.encoder, stream.encoder, context_of(spec, lender or name), "encoder", name)
    target_side = context_of(spec, side="target")
    if (fusion := spec.model.fusion) is not None:
        yield Place(fusion, fusion, target_side, "fusion", first)
    for chosen in spec.model.target_embedding.chosen() if spec.model.target_embedding else ():
        yield Place(chosen, chosen, target_side, "target_embedding", first)
    if (decoder := spec.model.decoder) is not None:
        yield Place(decoder, decoder, target_side, "decoder", first)
    for target in spec.model.targets:
        own = target.config.stream
        yield Place(target, target, context_of(spec, own or "", side="target"), "target", own or first)
    of_data = target_side.with_facts(*data_context(spec).facts.values())  # the facts of the data hold for all streams
    for each in (*spec.data.chosen(), *spec.data.sources()):
        yield Place(each, each, of_data, "data", first)
    for each in spec.train.chosen():
        yield Place(each, each, target_side, "train", first)


def _within(chosen: Chosen[Any], context: BuildContext) -> Iterator[tuple[Chosen[Any], BuildContext]]:
    """The modules that a module's options choose, directly and indirectly, each with its context."""
    for option, each in choices_in(chosen.config):
        if not (in_use() and option in chosen.config.makes_labels):
            inner = chosen.config.inner_context(option, context)
            yield each, inner
            yield from _within(each, inner)


def all_modules(spec: Spec, training: bool = True) -> list[Chosen[Any]]:
    """All modules that a spec uses, including those that options of other modules choose.

    Args:
        training: True to include the modules of ``train:`` and the sources of the data.
    """
    own = [*spec.model.chosen(), *spec.data.chosen()]
    own += [*spec.data.sources(), *spec.train.chosen()] if training else []
    return [each for chosen in own for each in (chosen, *within(chosen))]
