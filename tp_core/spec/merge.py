"""The merge of a spec over its parent, both in canonical form (:mod:`tp_core.spec.canonical`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tp_core.errors import TPError
from tp_core.spec.canonical import (
    MODEL_EMBEDDINGS,
    MODEL_SHELVES,
    MODEL_SLOTS,
    OTHER_SHELVES,
    OTHER_SLOTS,
    called,
    same_module,
    shelf,
    slot,
)
from tp_core.spec.errors import SpecError
from tp_core.spec.nodes import Node


def _kind_of_slot(path: tuple[str, ...]) -> str:
    """The kind of the one module that a place holds; empty for other places."""
    if path[:2] == ("data", "sets"):
        return "processor" if len(path) == 4 and path[3] == "processor" else ""
    in_stream = path[:2] == ("model", "streams") and len(path) == 4
    if (path[:-1] == ("model",) or in_stream) and path[-1] in MODEL_SLOTS:
        return path[-1]
    return OTHER_SLOTS.get(path, "")


def _kind_of_shelf(path: tuple[str, ...]) -> str:
    """The kind of the modules that a place lists; empty for other places."""
    if path[:1] == ("model",) and path[-1] == "modules" and path[-2] in MODEL_EMBEDDINGS:
        return "embedding"
    if path[:1] == ("model",) and path[-1] in MODEL_SHELVES and len(path) == 2:
        return path[-1]
    return OTHER_SHELVES.get(path, "")


class Place(NamedTuple):
    """A place of a spec that chooses modules.

    Attributes:
        many: it lists several.
    """

    kind: str
    many: bool


def place_at(path: tuple[str, ...], folders: tuple[str, ...]) -> Place | None:
    """The modules that a place chooses: a part of the spec, or an option of a module that another place chooses.

    Args:
        path: with ``*`` between a list of modules and the name of one.
        folders: of the files in which the place is, for modules of local files.
    """
    if kind := _kind_of_slot(path):
        return Place(kind, False)
    if kind := _kind_of_shelf(path):
        return Place(kind, True)
    if len(path) < 4:
        return None
    *above, name, option = path
    listed = above[-1] == "*"
    outer = place_at(tuple(above[:-1] if listed else above), folders)
    if outer is None or outer.many != listed:
        return None
    found = (_option(outer.kind, name, option, folder) for folder in folders)
    return next((each for each in found if each is not None), None)


def _option(kind: str, name: str, option: str, base: str) -> Place | None:
    """The modules that an option of a module chooses; None for an option that chooses none."""
    from tp_core.options.choice import slots_of
    from tp_core.spec.find import config_class

    try:
        slot_ = slots_of(config_class(kind, name, base)[0]).get(option)
    except TPError:  # which is said when the module is chosen
        return None
    return None if slot_ is None else Place(slot_.kind, slot_.many)


def as_written(node: Node, place: Place, path: tuple[str, ...]) -> Node:
    """A place that chooses modules in canonical form; what has none is refused when it is chosen."""
    try:
        written = ".".join(part for part in path if part != "*")
        return shelf(node, written) if place.many else slot(node, written)
    except SpecError:
        return node


def _merge_choice(base: Node | None, over: Node, path: tuple[str, ...]) -> Node:
    """One module of a shelf over the one that it had of that name; another module drops its options."""
    if base is None:
        return over
    base, over = _one_spelling(base, over)
    return merge(base, over, (*path, "*")) if base.mapping.keys() == over.mapping.keys() else over


def _before(item: Node, base: Sequence[Node], kind: str) -> Node | None:
    """The module of a shelf that one which is put over it stands for, if there is one."""
    name = called(item, kind)
    alike = {called(each, kind): each for each in base if same_module(called(each, kind), name)}
    return alike.get(name) or (next(iter(alike.values())) if len(alike) == 1 else None)


def _one_spelling(base: Node, over: Node) -> tuple[Node, Node]:
    """Two choices of modules, with the longer spelling in both where they name one module."""
    ((before, _),), ((after, options),) = base.mapping.items(), over.mapping.items()
    if before == after or not same_module(before, after):
        return base, over
    if "@" in before:
        return base, over.with_value({before: options})
    return base.with_value({after: base.mapping[before]}), over


def merge(base: Node, over: Node, path: tuple[str, ...] = ()) -> Node:
    """``over`` on top of ``base``, both canonical but for options of modules; ``over`` wins.

    Mappings merge key by key. A slot that names another module drops the options inherited for the old one. A shelf
    is replaced as a list, but modules that stay keep the options they had. So it is with options that choose modules.
    """
    place = place_at(path, (over.at().base, base.at().base)) if _may_choose(base) and _may_choose(over) else None
    if place is not None:
        base, over = (as_written(node, place, path) for node in (base, over))
    if place is not None and place.many and isinstance(over.value, list):
        kind, before = place.kind, base.items
        return over.with_value([_merge_choice(_before(item, before, kind), item, path) for item in over.items])
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    if place is not None and len(base.mapping) == len(over.mapping) == 1:
        base, over = _one_spelling(base, over)
    if place is not None and base.mapping.keys() != over.mapping.keys():
        return over
    children = dict(base.mapping)
    for key, child in over.mapping.items():
        if key in children:
            merged = merge(children[key], child, (*path, key))
            child = _in_its_folder(key, merged, children[key]) if ":" in key else merged
        children[key] = child
    return over.with_value(children)


def _may_choose(node: Node) -> bool:
    """Whether a node may be the choice of modules: a name, a mapping or a list."""
    return isinstance(node.value, (str, dict, list))


def _in_its_folder(name: str, options: Node, inherited: Node) -> Node:
    """The merged options of a local module, which is still a file of the folder that first named it.

    A spec that has a file of that name beside it means its own.
    """
    from tp_core.local.load import file_of  # only specs with such modules need it

    own = options.origin.base
    if own and file_of(name.partition(":")[0], own) is not None:
        return options
    return options._replace(origin=options.origin._replace(base=inherited.origin.base))
