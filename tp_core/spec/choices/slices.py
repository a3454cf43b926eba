"""Slices of a stack of layers: computation of the options of each layer; every problem has its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tp_core.errors import TPError
from tp_core.options.base import ModuleConfig
from tp_core.options.choice import slots_of
from tp_core.options.slices import Slices, numbers
from tp_core.spec.choices.find import config_class
from tp_core.spec.choices.validate import Default, validate
from tp_core.spec.errors import Problems, SpecError
from tp_core.spec.hints.key_hints import hint
from tp_core.spec.tree.canonical import same_module, slot
from tp_core.spec.tree.nodes import Node, describe

#: A number of layers that is larger than that of any stack.
_MANY = 10_000


def sliced(
    config: ModuleConfig,
    node: Node,
    where: str,
    place: str,
    options: Node,
    inherited: Mapping[str, Default],
    parts: Callable[[str, str, Node], dict[str, Any]],
    problems: Problems,
) -> Slices | None:
    """The options of each layer of a stack; None if no slice sets any option, or if there is a problem.

    Args:
        config: the options of the stack.
        node: the node of the slices, ``{"5::6": {mixer: {attention: {window: null}}}}``.
        where: the path of the stack's options.
        place: like ``where``, but with module names without their distributions.
        options: the stack's options in canonical form.
        inherited: defaults from enclosing places, for options that the stack has.
        parts: a function of a path, a place and canonical options that makes the modules chosen by the options, and
            adds problems.
    """
    cls, before = type(config), len(problems)
    path, count = f"{where}.{cls.sliced}", config.slice_count()
    if not isinstance(node.value, dict):
        expected = "a mapping of slices, such as {'5::6': {mixer: ...}}"
        problems.add(path, f"expected {expected}, got {describe(node.value)}", node)
        return None
    given = {key: child for key, child in node.mapping.items() if child.value is not None}
    for key, child in given.items():
        _check(cls, f"{path}.{key}", key, child, count, problems)
    if len(problems) > before or not given:
        return None
    base = config.model_copy(update={cls.sliced: None})
    stack = Node({key: each for key, each in options.mapping.items() if key != cls.sliced}, options.origin)
    made: dict[tuple[str, ...], ModuleConfig | None] = {(): base}
    of_layers = [tuple(key for key in given if number in numbers(key, count)) for number in range(count)]
    for keys in dict.fromkeys([*_each(given, count), *of_layers]):
        if keys in made or any(made.get(keys[:end], base) is None for end in range(1, len(keys))):
            continue
        merged = stack
        for key in keys:
            merged = _merged(cls, merged, given[key])
        own, by_name = (f"{each}.{cls.sliced}.{keys[-1]}" for each in (where, place))
        found = len(problems)
        inner = parts(own, by_name, merged)
        whole = len(problems) == found
        made[keys] = validate(cls, own, merged.mapping, given[keys[-1]], problems, inherited, inner) if whole else None
    if len(problems) > before:
        return None
    layers = tuple(layer for keys in of_layers if (layer := made[keys]) is not None)
    return Slices(tuple(given), base, layers)


def _each(given: Mapping[str, Node], count: int) -> Iterator[tuple[str, ...]]:
    """Each slice with the earlier slices that contain its first layer, so that slices without effect are checked."""
    for end, key in enumerate(given, 1):
        size = count if numbers(key, count) else _MANY
        first = numbers(key, size)[0]
        yield tuple(each for each in [*given][:end] if first in numbers(each, size))


def _check(cls: type[ModuleConfig], path: str, key: str, child: Node, count: int, problems: Problems) -> None:
    """Add the problems of one slice, except those with the values of its options."""
    try:
        # A slice may begin after the last layer, for example in a preset whose number of layers is reduced.
        found = numbers(key, _MANY if ":" in key else count)
    except ValueError:
        message = f"'{key}' is no slice; expected a layer from 0 to {count - 1}, or start:stop:step as in Python"
        problems.add(path, message, child, key=True)
        return
    if not found:
        problems.add(path, f"names no layer; the layers are 0 to {count - 1}", child, key=True)
    if not isinstance(child.value, dict):
        problems.add(path, f"expected a mapping of options, got {describe(child.value)}", child)
    for option, value in child.mapping.items():
        if option not in cls.of_slices:
            near = hint(option, sorted(cls.of_slices), path, problems.tree)
            known = f"the options of a layer are {', '.join(sorted(cls.of_slices))}"
            whole = f"'{option}' is an option of the whole stack; {known}"
            message = whole if option in cls.model_fields else f"unknown option '{option}'; {near or known}"
            problems.add(f"{path}.{option}", message, value, key=True)


def _merged(cls: type[ModuleConfig], base: Node, over: Node) -> Node:
    """Merge options of a module over other options. If both choose the same module, its options are merged, too."""
    children, slots = dict(base.mapping), slots_of(cls)
    for option, child in over.mapping.items():
        before = children.get(option)
        if option in slots and not slots[option].many and before is not None:
            child = _one_over(slots[option].kind, before, child)
        children[option] = child
    return over.with_value(children)


def _one_over(kind: str, base: Node, over: Node) -> Node:
    try:
        before, after = slot(base, ""), slot(over, "")
        if before.value is None or after.value is None:
            return over
        ((known, inherited),), ((name, options),) = before.mapping.items(), after.mapping.items()
        if not same_module(known, name):
            return over
        cls = config_class(kind, name, options.origin.base)[0]
    except (SpecError, TPError):  # reported when the module is chosen
        return over
    return after.with_value({name: _merged(cls, inherited, options)})
