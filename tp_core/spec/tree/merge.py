"""The merge of a spec over its parent, both in canonical form (:mod:`tp_core.spec.tree.canonical`)."""

from __future__ import annotations

from collections.abc import Sequence

from tp_core.spec.choices.places import Place, canonical_choice, place_at
from tp_core.spec.tree.canonical import instance_name, same_module
from tp_core.spec.tree.nodes import Node


def _merge_choice(base: Node | None, over: Node, path: tuple[str, ...], trees: Sequence[Node]) -> Node:
    """One module of a shelf over the one that it had of that name; another module drops its options."""
    if base is None:
        return over
    base, over = _one_spelling(base, over)
    return merge(base, over, (*path, "*"), trees) if base.mapping.keys() == over.mapping.keys() else over


def _before(item: Node, base: Sequence[Node], kind: str) -> Node | None:
    """The module of a shelf that one which is put over it stands for, if there is one."""
    name = instance_name(item, kind)
    alike = {instance_name(each, kind): each for each in base if same_module(instance_name(each, kind), name)}
    return alike.get(name) or (next(iter(alike.values())) if len(alike) == 1 else None)


def _one_spelling(base: Node, over: Node) -> tuple[Node, Node]:
    """Two choices of modules, with the longer spelling in both where they name one module."""
    ((before, _),), ((after, options),) = base.mapping.items(), over.mapping.items()
    if before == after or not same_module(before, after):
        return base, over
    if "@" in before:
        return base, over.with_value({before: options})
    return base.with_value({after: base.mapping[before]}), over


def merge(base: Node, over: Node, path: tuple[str, ...] = (), trees: Sequence[Node] = ()) -> Node:
    """``over`` on top of ``base``, both canonical but for options of modules; ``over`` wins.

    Mappings merge key by key. A slot that names another module drops the options inherited for the old one. A shelf
    is replaced as a list, but modules that stay keep the options they had. So it is with options that choose modules.

    Args:
        trees: the whole specs; the two nodes themselves if empty.
    """
    trees = trees or (base, over)
    place = _place(base, over, path, trees)
    if place is not None:
        before, after = canonical_choice(base, place), canonical_choice(over, place)
        if before is None or after is None:
            return over
        base, over = before, after
    if place is not None and place.many:
        return over.with_value(
            [_merge_choice(_before(item, base.items, place.kind), item, path, trees) for item in over.items]
        )
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    if place is not None and base.mapping and over.mapping:
        base, over = _one_spelling(base, over)
    if place is not None and base.mapping.keys() != over.mapping.keys():
        return over
    children = dict(base.mapping)
    for key, child in over.mapping.items():
        if key in children:
            merged = merge(children[key], child, (*path, key), trees)
            child = _in_its_folder(key, merged, children[key]) if ":" in key else merged
        children[key] = child
    return over.with_value(children)


def _place(base: Node, over: Node, path: tuple[str, ...], trees: Sequence[Node]) -> Place | None:
    """The modules that both nodes choose; None where they choose none."""
    if not (_may_choose(base) and _may_choose(over)) or (isinstance(base.value, str) and isinstance(over.value, str)):
        return None  # of two names, the second says all
    found = place_at(path, (over.at().base, base.at().base))
    return found or default_place(path, trees)


def default_place(path: tuple[str, ...], trees: Sequence[Node]) -> Place | None:
    """The modules that a default of the model chooses, or of a stream: an option of that name of its modules."""
    from tp_core.spec.hints.places import choosing
    from tp_core.spec.sections.keys import KEYS

    of_model = path[:-1] == ("model",) or (path[:2] == ("model", "streams") and len(path) == 4)
    return choosing(path[-1], trees) if of_model and path[-1] not in KEYS["model"] else None


def _may_choose(node: Node) -> bool:
    """True if a node may be the choice of modules: a name, a mapping or a list."""
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
