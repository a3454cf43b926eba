"""The merge of a spec over its parent, both in canonical form (:mod:`tp_core.spec.canonical`)."""

from __future__ import annotations

from collections.abc import Sequence

from tp_core.errors import TPError
from tp_core.spec.canonical import (
    MODEL_EMBEDDINGS,
    MODEL_SHELVES,
    MODEL_SLOTS,
    OTHER_SHELVES,
    OTHER_SLOTS,
    OTHER_SOURCES,
    called,
    same_module,
)
from tp_core.spec.nodes import Node


def _kind_of_slot(path: tuple[str, ...]) -> str:
    """The kind of the one module that a place holds; empty for other places."""
    if path[:2] == ("data", "sets"):
        path = ("data", path[3]) if len(path) == 4 else ()
    if path[:1] == ("model",) and path[-1] in MODEL_SLOTS and len(path) in (2, 4):
        return path[-1]
    return "source" if path in OTHER_SOURCES else OTHER_SLOTS.get(path, "")


def _kind_of_shelf(path: tuple[str, ...]) -> str:
    """The kind of the modules that a place lists; empty for other places."""
    if path[:1] == ("model",) and path[-1] == "modules" and path[-2] in MODEL_EMBEDDINGS:
        return "embedding"
    if path[:1] == ("model",) and path[-1] in MODEL_SHELVES and len(path) == 2:
        return path[-1]
    return OTHER_SHELVES.get(path, "")


def _is_slot(path: tuple[str, ...], folders: tuple[str, ...]) -> bool:
    """Whether a place holds one module: a slot of specs, or an option of a module that chooses another.

    Args:
        folders: of the files in which the place is, for modules of local files.
    """
    if _kind_of_slot(path):
        return True
    listed = path[-3:-2] == ("*",)
    kind = _kind_of_shelf(path[:-3]) if listed else _kind_of_slot(path[:-2])
    return bool(kind) and any(_chooses_module(kind, path[-2], path[-1], folder) for folder in folders)


def _chooses_module(kind: str, name: str, option: str, base: str) -> bool:
    """Whether an option of a module is marked as the choice of another (``ModuleMark``)."""
    from tp_core.spec.find import config_class
    from tp_core.spec.schema_common import kind_of_module

    try:
        info = config_class(kind, name, base)[0].model_fields.get(option)
    except TPError:  # which is said when the module is chosen
        return False
    return info is not None and bool(kind_of_module(info))


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
    """``over`` on top of ``base``, both canonical; ``over`` wins.

    Mappings merge key by key. A slot that names another module drops the options inherited for the old one. A shelf
    is replaced as a list, but modules that stay keep the options they had.
    """
    if kind := _kind_of_shelf(path):
        return over.with_value([_merge_choice(_before(item, base.items, kind), item, path) for item in over.items])
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    if base.mapping.keys() != over.mapping.keys() and _is_slot(path, (over.at().base, base.at().base)):
        base, over = _one_spelling(base, over) if len(base.mapping) == len(over.mapping) == 1 else (base, over)
        if base.mapping.keys() != over.mapping.keys():
            return over
    children = dict(base.mapping)
    for key, child in over.mapping.items():
        if key in children:
            merged = merge(children[key], child, (*path, key))
            child = _in_its_folder(key, merged, children[key]) if ":" in key else merged
        children[key] = child
    return over.with_value(children)


def _in_its_folder(name: str, options: Node, inherited: Node) -> Node:
    """The merged options of a local module, which is still a file of the folder that first named it.

    A spec that has a file of that name beside it means its own.
    """
    from tp_core.local.load import file_of  # only specs with such modules need it

    own = options.origin.base
    if own and file_of(name.partition(":")[0], own) is not None:
        return options
    return options._replace(origin=options.origin._replace(base=inherited.origin.base))
