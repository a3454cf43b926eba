"""``KEY=VALUE`` on the command line: parsed by the same loader, merged over the file."""

from __future__ import annotations

from tp_core.spec.canonical import (
    ALIASES,
    EMBEDDING_OPTIONS,
    MODEL_EMBEDDINGS,
    MODEL_SHELVES,
    OTHER_SHELVES,
    called,
    canonical,
    same_module,
    slot,
)
from tp_core.spec.errors import SpecError, SpecProblem
from tp_core.spec.merge import merge
from tp_core.spec.nodes import Node, Origin
from tp_core.spec.yaml_loader import parse
from tp_core.suggest import did_you_mean


def apply(root: Node, overrides: list[str], problems: list[SpecProblem], base: str = ".") -> Node:
    """Merge ``KEY=VALUE`` settings over a canonical spec, left to right.

    Args:
        problems: receives what is wrong with a setting that is no ``KEY=VALUE``, or names a module that is not in
            the list it points into; such a setting changes nothing.
    """
    first = root
    for text in overrides:
        origin = Origin("command line", None, 1, text, base)
        try:
            root = _apply_one(root, text, origin, problems)
        except SpecError as error:
            problems += error.problems
    return Node(root.value, first.origin, first.key_origin)  # a setting moves no spec to another folder


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
    return _set(root, parts, _relocate(node, origin, offset), origin, problems)


def _moved(old: Origin, setting: Origin, offset: int) -> Origin:
    return setting._replace(column=(old.column or 1) + offset)


def _relocate(node: Node, origin: Origin, offset: int) -> Node:
    """Positions within the value, moved to where the value stands in the whole setting."""
    value = node.value
    if isinstance(value, dict):
        value = {k: _relocate(v, origin, offset) for k, v in value.items()}
    elif isinstance(value, list):
        value = [_relocate(v, origin, offset) for v in value]
    key_origin = _moved(node.key_origin, origin, offset) if node.key_origin else None
    return Node(value, _moved(node.origin, origin, offset), key_origin)


def _set(root: Node, parts: list[str], value: Node, origin: Origin, problems: list[SpecProblem]) -> Node:
    """Merge one setting. A path into a list of modules addresses them by name."""
    for depth, part in enumerate(parts):
        if parts[0] != "model" or depth == len(parts) - 1:
            break
        rest = parts[depth + 1 :]
        if part in MODEL_EMBEDDINGS and rest[0] not in EMBEDDING_OPTIONS:
            return _set_in_shelf(root, [*parts[: depth + 1], "modules"], rest, value, origin)
        if part in MODEL_SHELVES:
            return _set_in_shelf(root, parts[: depth + 1], rest, value, origin)
    if tuple(parts[:2]) in OTHER_SHELVES and len(parts) > 2:
        return _set_in_shelf(root, parts[:2], parts[2:], value, origin)
    return merge(root, canonical(_nest(parts, value, origin), problems))


def _nest(parts: list[str], value: Node, origin: Origin) -> Node:
    """A value below the keys of its path, which name what the spec has: a local module stays in the spec's folder."""
    node = Node(value.value, value.origin, origin)
    above = origin._replace(base="")
    for part in reversed(parts):
        node = Node({part: node}, above, above)
    return node


def _set_in_shelf(root: Node, shelf: list[str], rest: list[str], value: Node, origin: Origin) -> Node:
    found = root.find(tuple(shelf))
    names = [called(item, shelf[-1]) for item in found.items]
    alike = [name for name in names if same_module(name, rest[0])]
    if rest[0] not in names and len(alike) != 1:
        path = ".".join(p for p in [*shelf, rest[0]] if p != "modules")
        shown = ", ".join(names) or "nothing"
        near = did_you_mean(rest[0], names)
        message = f"the spec has no module '{rest[0]}' there; it has {shown}" + (f"; {near}" if near else "")
        raise SpecError([SpecProblem(path, message, origin)])
    # Listing every module again, with the setting in the one that is meant, is a merge that keeps all the rest.
    number = names.index(rest[0] if rest[0] in names else alike[0])
    ((module, _),) = found.items[number].mapping.items()
    given = slot(_nest([module, *rest[1:]], value, origin), ".".join(p for p in shelf if p != "modules"))
    items = [*found.items]
    items[number] = merge(items[number], given, (*shelf, "*"))
    over = Node(items, origin, origin)
    for part in reversed(shelf):
        over = Node({part: over}, origin, origin)
    return merge(root, over)
