"""Settings ``KEY=VALUE`` on the command line, parsed by the same loader and merged over the file."""

from __future__ import annotations

from collections.abc import Collection

from tp_core import discovery
from tp_core.spec.choices.places import canonical_choice, place_at
from tp_core.spec.errors import SpecError, SpecProblem
from tp_core.spec.tree.canonical import (
    ALIASES,
    EMBEDDING_OPTIONS,
    MODEL_EMBEDDINGS,
    canonical,
    instance_name,
    same_module,
    slot,
)
from tp_core.spec.tree.merge import default_place, merge
from tp_core.spec.tree.nodes import COMMAND_LINE, Node, Origin
from tp_core.spec.tree.yaml_loader import parse
from tp_core.suggest import did_you_mean


def apply(root: Node, overrides: list[str], problems: list[SpecProblem], base: str = ".") -> Node:
    """Merge ``KEY=VALUE`` settings over a canonical spec, left to right.

    Args:
        problems: receives problems about a setting that does not have the form ``KEY=VALUE``, or that names a module
            that is not in the list; such a setting is ignored.
    """
    first = root
    for text in overrides:
        origin = Origin(COMMAND_LINE, None, 1, text, base)
        try:
            root = _apply_one(root, text, origin, problems)
        except SpecError as error:
            problems += error.problems
    return Node(root.value, first.origin, first.key_origin)  # settings do not change the folder of the spec


def _apply_one(root: Node, text: str, origin: Origin, problems: list[SpecProblem]) -> Node:
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not all(key.split(".")):
        raise SpecError([SpecProblem("", "expected KEY=VALUE, for example train.steps=100", origin)])
    if key == "extends":
        raise SpecError([SpecProblem(key, "cannot be set here; the parent is named in the file", origin)])
    offset = text.index("=") + 1
    try:
        node = parse(value, origin.source, origin.base)
    except SpecError as error:
        raise SpecError(
            SpecProblem(f"{key}.{p.path}" if p.path else key, p.message, _moved(p.origin, origin, offset))
            for p in error.problems
        ) from None
    parts = [ALIASES.get(part, part) for part in key.split(".")]
    if parts[0] == "model" and len(parts) > 2 and parts[1].startswith("stream_"):
        parts.insert(1, "streams")
    over = _over(root, (), parts, _relocate(node, origin, offset), origin, root)
    return merge(root, canonical(over, problems))


def _moved(old: Origin, setting: Origin, offset: int) -> Origin:
    return setting._replace(column=(old.column or 1) + offset)


def _relocate(node: Node, origin: Origin, offset: int) -> Node:
    """A copy of a value's node, with positions relative to the whole setting."""
    value = node.value
    if isinstance(value, dict):
        value = {k: _relocate(v, origin, offset) for k, v in value.items()}
    elif isinstance(value, list):
        value = [_relocate(v, origin, offset) for v in value]
    key_origin = _moved(node.key_origin, origin, offset) if node.key_origin else None
    return Node(value, _moved(node.origin, origin, offset), key_origin)


def _over(node: Node, path: tuple[str, ...], rest: list[str], value: Node, origin: Origin, root: Node) -> Node:
    """The tree to merge over a node, to set the value at the end of a path inside the node.

    Args:
        path: path of the node, in the form of :func:`tp_core.spec.choices.places.place_at`.
        rest: the remaining keys of the path, split at dots; names of modules may contain dots.
        root: the whole spec.
    """
    if not rest:
        return Node(value.value, value.origin, origin)
    if path[:1] == ("model",) and path[-1] in MODEL_EMBEDDINGS and rest[0] not in EMBEDDING_OPTIONS:
        rest = ["modules", *rest]
    place = place_at(path, (node.at().base,)) or default_place(path, [root])
    if place is not None:
        node = canonical_choice(node, place) or node
    if place is not None and place.many:
        if any(len(item.mapping) != 1 for item in node.items):
            raise SpecError([])  # not a list of modules; reported when modules are chosen
        return _in_shelf(node, path, rest, value, origin, root)
    if place is not None and isinstance(node.value, list):  # a list of sources and paths
        return _in_shelf(node, path, rest, value, origin, root)
    key, rest = _first(rest, {*node.mapping, *(discovery.index().names(place.kind) if place is not None else ())})
    # The keys of a path refer to modules of the spec, so a local module stays in the spec's folder.
    above = origin._replace(base="")
    inner = node.mapping.get(key, Node(None, above))
    return Node({key: _over(inner, (*path, key), rest, value, origin, root)}, above, above)


def _first(parts: list[str], known: Collection[str]) -> tuple[str, list[str]]:
    """The first key of a path and the rest. The longest known key is taken, with or without its distribution."""
    for length in range(len(parts), 1, -1):
        key = ".".join(parts[:length])
        if key in known or ("@" in parts[length - 1] and key.partition("@")[0] in known):
            return key, parts[length:]
    return parts[0], parts[1:]


def _in_shelf(node: Node, path: tuple[str, ...], rest: list[str], value: Node, origin: Origin, root: Node) -> Node:
    """A copy of a list of modules, with the setting applied to one module. A merge replaces the old list with it.

    Paths beside sources are unchanged.
    """
    names = [instance_name(item, path[-1]) if len(item.mapping) == 1 else "" for item in node.items]
    key, inside = _first(rest, {spelling for name in names for spelling in (name, name.partition("@")[0])})
    alike = [name for name in names if same_module(name, key)]
    shown_path = [part for part in path if part not in ("modules", "*")]
    if len(alike) != 1 and names.count(key) != 1:
        shown = ", ".join(filter(None, names)) or "nothing"
        near = did_you_mean(key, [name for name in names if name])
        message = f"the spec has no module '{key}' there; it has {shown}" + (f"; {near}" if near else "")
        if alike:
            message = f"the spec has {len(alike)} modules '{key}' there; change the right one in the file"
        raise SpecError([SpecProblem(".".join([*shown_path, key]), message, origin)])
    number = names.index(key if key in names else alike[0])
    ((module, options),) = node.items[number].mapping.items()
    above = origin._replace(base="")
    over = Node({module: _over(options, (*path, "*", module), inside, value, origin, root)}, above, above)
    items = [*node.items]
    items[number] = merge(items[number], slot(over, ".".join(shown_path)), (*path, "*"), [root])
    return Node(items, origin, origin)
