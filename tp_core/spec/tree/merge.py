"""The merge of a spec over its parent, both in canonical form (:mod:`tp_core.spec.tree.canonical`)."""

from __future__ import annotations

from collections.abc import Sequence

from tp_core.spec.choices.places import Place, canonical_choice, place_at
from tp_core.spec.tree.canonical import instance_name, same_module
from tp_core.spec.tree.nodes import Node

#: Keys of a part of the spec of which only one may be given. One that is given replaces an inherited other one.
_ALTERNATIVES: dict[tuple[str, ...], tuple[str, ...]] = {("train",): ("steps", "epochs")}


def _merge_choice(base: Node | None, over: Node, path: tuple[str, ...], trees: Sequence[Node]) -> Node:
    """Merge one module of a shelf over the parent's module of that name. A different module drops inherited options."""
    if base is None:
        return over
    base, over = _one_spelling(base, over)
    return merge(base, over, (*path, "*"), trees) if base.mapping.keys() == over.mapping.keys() else over


def _before(item: Node, base: Sequence[Node], kind: str) -> Node | None:
    """The module of the parent's shelf that corresponds to a module, if there is one."""
    name = instance_name(item, kind)
    alike = {instance_name(each, kind): each for each in base if same_module(instance_name(each, kind), name)}
    return alike.get(name) or (next(iter(alike.values())) if len(alike) == 1 else None)


def _one_spelling(base: Node, over: Node) -> tuple[Node, Node]:
    """Two choices of modules; if they mean the same module, both get the longer spelling."""
    ((before, _),), ((after, options),) = base.mapping.items(), over.mapping.items()
    if before == after or not same_module(before, after):
        return base, over
    if "@" in before:
        return base, over.with_value({before: options})
    return base.with_value({after: base.mapping[before]}), over


def merge(base: Node, over: Node, path: tuple[str, ...] = (), trees: Sequence[Node] = ()) -> Node:
    """Merge ``over`` over ``base``; ``over`` takes precedence. Both are canonical, except for options of modules.

    Mappings are merged key by key. A slot with another module drops the inherited options of the old module. A shelf is
    replaced as a list, but modules that occur in both keep their inherited options. The same holds for options that
    choose modules. ``train.epochs`` replaces an inherited ``train.steps``, and vice versa.

    Args:
        trees: the whole specs; if empty, the two nodes themselves.
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
    alternatives = _ALTERNATIVES.get(path, ())
    if any(key in over.mapping and over.mapping[key].value is not None for key in alternatives):
        children = {key: child for key, child in children.items() if key not in alternatives}
    for key, child in over.mapping.items():
        if key in children:
            merged = merge(children[key], child, (*path, key), trees)
            child = _in_its_folder(key, merged, children[key]) if ":" in key else merged
        children[key] = child
    return over.with_value(children)


def _place(base: Node, over: Node, path: tuple[str, ...], trees: Sequence[Node]) -> Place | None:
    """The kind of modules that both nodes choose; None if they choose none."""
    if not (_may_choose(base) and _may_choose(over)) or (isinstance(base.value, str) and isinstance(over.value, str)):
        return None  # two names cannot be merged; the second one replaces the first
    found = place_at(path, (over.at().base, base.at().base))
    return found or default_place(path, trees)


def default_place(path: tuple[str, ...], trees: Sequence[Node]) -> Place | None:
    """The kind of modules that a default of the model or of a stream chooses, from the module option of that name."""
    from tp_core.spec.hints.places import choosing
    from tp_core.spec.sections.keys import KEYS

    of_model = path[:-1] == ("model",) or (path[:2] == ("model", "streams") and len(path) == 4)
    return choosing(path[-1], trees) if of_model and path[-1] not in KEYS["model"] else None


def _may_choose(node: Node) -> bool:
    """True if a node may be the choice of modules: a name, a mapping or a list."""
    return isinstance(node.value, (str, dict, list))


def _in_its_folder(name: str, options: Node, inherited: Node) -> Node:
    """The merged options of a local module, whose file stays in the folder of the spec that first named it.

    If the child spec has a file of that name beside it, its own file is used.
    """
    from tp_core.local.load import file_of  # only needed for specs with local modules

    own = options.origin.base
    if own and file_of(name.partition(":")[0], own) is not None:
        return options
    return options._replace(origin=options.origin._replace(base=inherited.origin.base))
