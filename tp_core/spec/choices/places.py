"""The places of a spec that choose modules: parts of the spec, and options of modules. Torch-free."""

from __future__ import annotations

from typing import NamedTuple

from tp_core.errors import TPError
from tp_core.options.base import ModuleConfig
from tp_core.spec.errors import SpecError
from tp_core.spec.tree.canonical import (
    MODEL_EMBEDDINGS,
    MODEL_SHELVES,
    MODEL_SLOTS,
    OTHER_SHELVES,
    OTHER_SLOTS,
    OTHER_SOURCES,
    shelf,
    slot,
)
from tp_core.spec.tree.nodes import Node


def _kind_of_slot(path: tuple[str, ...]) -> str:
    """The kind of module at a place for one module; empty for other places."""
    if path[:2] == ("data", "sets"):
        path = ("data", path[3]) if len(path) == 4 else ()
    in_stream = path[:2] == ("model", "streams") and len(path) == 4
    if (path[:-1] == ("model",) or in_stream) and path[-1] in MODEL_SLOTS:
        return path[-1]
    if path[:1] == ("model",) and path[-1] == "norm" and path[-2] in MODEL_EMBEDDINGS:
        return "norm"
    return "source" if path in OTHER_SOURCES else OTHER_SLOTS.get(path, "")


def _kind_of_shelf(path: tuple[str, ...]) -> str:
    """The kind of modules at a place for several modules; empty for other places."""
    if path[:1] == ("model",) and path[-1] == "modules" and path[-2] in MODEL_EMBEDDINGS:
        return "embedding"
    if path[:1] == ("model",) and path[-1] in MODEL_SHELVES and len(path) == 2:
        return path[-1]
    return OTHER_SHELVES.get(path, "")


class Place(NamedTuple):
    """A place of a spec that chooses modules.

    Attributes:
        many: True if the place lists several modules.
    """

    kind: str
    many: bool


def place_at(path: tuple[str, ...], folders: tuple[str, ...]) -> Place | None:
    """The kind of modules that a path chooses, if it is a part of the spec or an option of a module that chooses some.

    Args:
        path: the path, with ``*`` between a list of modules and the name of a module in it.
        folders: folders of the files that contain the place, for modules of local files.
    """
    if kind := _kind_of_slot(path):
        return Place(kind, False)
    if kind := _kind_of_shelf(path):
        return Place(kind, True)
    if len(path) < 4:
        return None
    if len(path) > 6 and (known := _class_at(path[:-3], folders)) is not None and known.sliced == path[-3]:
        path = (*path[:-3], path[-1])  # an option in a slice of layers is an option of the stack
    *above, name, option = path
    listed = above[-1] == "*"
    outer = place_at(tuple(above[:-1] if listed else above), folders)
    if outer is None or outer.many != listed:
        return None
    found = (_option(outer.kind, name, option, folder) for folder in folders)
    return next((each for each in found if each is not None), None)


def _class_at(path: tuple[str, ...], folders: tuple[str, ...]) -> type[ModuleConfig] | None:
    """The config class of the module at a path; None if there is no module."""
    *above, name = path
    outer = place_at(tuple(above[:-1] if above[-1] == "*" else above), folders)
    if outer is None:
        return None
    found = (_config_class(outer.kind, name, folder) for folder in folders)
    return next((each for each in found if each is not None), None)


def _config_class(kind: str, name: str, base: str) -> type[ModuleConfig] | None:
    from tp_core.spec.choices.find import config_class

    try:
        return config_class(kind, name, base)[0]
    except TPError:  # reported when the module is chosen
        return None


def _option(kind: str, name: str, option: str, base: str) -> Place | None:
    """The kind of modules that an option of a module chooses; None for other options."""
    from tp_core.options.choice import slots_of

    cls = _config_class(kind, name, base)
    slot_ = None if cls is None else slots_of(cls).get(option)
    return None if slot_ is None else Place(slot_.kind, slot_.many)


def canonical_choice(node: Node, place: Place) -> Node | None:
    """A choice of modules in canonical form; None for an invalid choice, which is reported when modules are chosen.

    At a place for data sources, a text is a path and chooses no module.
    """
    if place.kind == "source" and isinstance(node.value, str):
        return None
    try:
        return shelf(node, place.kind) if place.many else slot(node, place.kind)
    except SpecError:
        return None
