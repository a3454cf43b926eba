"""Validation of option nodes with a pydantic model. Problems have their own places and refer to the spec's terms."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from tp_core.options.marks import is_path
from tp_core.spec.checks.files import is_address
from tp_core.spec.checks.limits import Fault, faults
from tp_core.spec.errors import Problems
from tp_core.spec.hints.key_hints import hint
from tp_core.spec.hints.value_hints import asked_back, value_hint
from tp_core.spec.hints.words import declared
from tp_core.spec.tree.nodes import Node, Origin, describe

M = TypeVar("M", bound=BaseModel)

_EXPECTED = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


class Default(NamedTuple):
    """A value under ``model:`` that is the default of an option for all modules.

    Attributes:
        path: its path in the spec.
    """

    path: str
    node: Node


def _message(error: Mapping[str, Any]) -> str:
    """The message for a pydantic error, in the terms of a spec."""
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, got {describe(value)}"
    if kind == "missing":
        return f"'{error['loc'][-1]}' is required"
    if kind == "finite_number":
        return f"expected a finite number, got {value}"
    if kind in ("too_short", "too_long"):
        bound = ("at least", context["min_length"]) if kind == "too_short" else ("at most", context["max_length"])
        return f"expected {bound[0]} {bound[1]} items, got {context['actual_length']}"
    if kind == "literal_error":
        expected = context["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        message = f"expected one of {', '.join(expected)}; got {describe(value)}"
        near = value_hint(value, expected) if isinstance(value, str) else ""
        return f"{message}; {near}" if near else message
    for name, words in (
        ("gt", "greater than"),
        ("ge", "at least"),
        ("lt", "less than"),
        ("le", "at most"),
    ):
        if name in context and kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
            limit = context[name]
            return f"must be {words} {f'{limit:g}' if isinstance(limit, float) else limit}, got {value}"
    if kind == "value_error":
        return str(context.get("error", error["msg"]))
    return str(error["msg"])


def resolve_paths(model: type[BaseModel], plain: dict[str, Any], nodes: Mapping[str, Node]) -> dict[str, Any]:
    """Make path options absolute, relative to the folder of the file that sets each."""
    for name, info in model.model_fields.items():
        if name not in nodes or not is_path(info):
            continue
        base = nodes[name].origin.base
        value = plain[name]
        if isinstance(value, str):
            plain[name] = absolute(value, base)
        elif isinstance(value, list):
            node = nodes[name]
            items = node.items if isinstance(node.value, list) else [node]
            bases = [item.origin.base for item in items]  # the items of a list may come from several files
            plain[name] = [absolute(v, base) if isinstance(v, str) else v for v, base in zip(value, bases, strict=True)]
    return plain


def absolute(path: str, base: str) -> str:
    """``path`` relative to ``base``; addresses are unchanged (``hf://...``, or one that a check rejects later)."""
    if is_address(path):
        return path
    return os.path.abspath(os.path.join(base, os.path.expanduser(path)))


def validate(
    model: type[M],
    path: str,
    nodes: Mapping[str, Node],
    at: Node,
    problems: Problems,
    defaults: Mapping[str, Default] = MappingProxyType({}),
    made: Mapping[str, Any] = MappingProxyType({}),
) -> M | None:
    """Validate option nodes with a pydantic model; problems have the place of the option.

    Args:
        nodes: option → node.
        at: the node for problems that belong to no option.
        defaults: values for options that ``nodes`` does not set. Problems with them have the place of the default.
        made: option → chosen module, which replaces the value of the node.
    """
    inherited = {name: default for name, default in defaults.items() if name not in nodes}
    nodes = {**nodes, **{name: default.node for name, default in inherited.items()}}
    plain = {name: node.plain() for name, node in nodes.items()}
    known = list(model.model_fields)
    for name in [n for n in plain if n not in known]:
        problems.add(f"{path}.{name}", _unknown_option(model, name, path, problems.tree), nodes[name], key=True)
        del plain[name]
    plain |= made
    beyond = {name: [*_beyond(name, value, is_path(model.model_fields[name]))] for name, value in plain.items()}
    beyond = {name: wrong for name, wrong in beyond.items() if wrong}
    errors, config = [], None
    try:
        config = model.model_validate(resolve_paths(model, plain, nodes))
        config.model_fields_set.difference_update(inherited)
    except ValidationError as error:
        errors = error.errors(include_url=False)
    for name in beyond.keys() - {each["loc"][0] for each in errors if each["loc"]}:
        for fault in beyond[name]:
            where = inherited[name].path if name in inherited else f"{path}.{name}"
            problems.add(where + _tail(fault.place), fault.message, nodes[name].find(fault.place))
    if not errors:
        return None if beyond else config
    missing = [each for each in errors if each["type"] == "missing" and str(each["loc"][0]) not in nodes]
    for each in missing:
        name = str(each["loc"][0])
        what = model.model_fields[name].description
        problems.add(f"{path}.{name}", f"is required ({what})" if what else "is required", at, key=True)
    for within, found in _by_place([each for each in errors if each not in missing], nodes).items():
        if not within:
            problems.add(path, _message(found[0]), at, key=True)
            continue
        name = str(within[0])
        where = (inherited[name].path if name in inherited else f"{path}.{name}") + _tail(within[1:])
        unknown = found[0]["type"] == "extra_forbidden"
        if unknown:
            section = where.removesuffix(f".{within[-1]}")
            message = _unknown_option(_section_at(model, within[:-1]), str(within[-1]), section, problems.tree)
        else:
            message = _messages(found)
        problems.add(where, message, nodes[name].find(within[1:]), key=unknown)
    return None


def _beyond(option: str, value: Any, path: bool) -> Iterator[Fault]:
    """Faults that are wrong for every option: a number outside of all ranges, or an empty path."""
    if not path:
        yield from faults(option, value)
        return
    for number, each in enumerate([value] if isinstance(value, str) else value if isinstance(value, list) else []):
        if isinstance(each, str) and (not each.strip() or "\0" in each):
            what = "is empty" if not each.strip() else "has a null character"
            yield Fault(() if isinstance(value, str) else (number,), f"{what}; expected a path")


def _tail(place: Iterable[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)


def _unknown_option(model: type[BaseModel], name: str, section: str, tree: Node | None) -> str:
    known = list(model.model_fields)
    near = asked_back(name, own) if (own := declared(model, name)) else hint(name, known, section, tree)
    options = f"the options are {', '.join(known)}" if known else "there are no options"
    return f"unknown option '{name}'; {near or options}"


_Place = tuple[str | int, ...]


def _by_place(errors: Iterable[Mapping[str, Any]], nodes: Mapping[str, Node]) -> dict[_Place, list[Mapping[str, Any]]]:
    """Errors by their place in the spec.

    For a union, pydantic reports errors of every branch, with the branch's name in the location. Only the branch with
    the deepest location is kept, as it probably is the intended one.
    """
    found: dict[_Place, list[Mapping[str, Any]]] = {}
    for error in errors:
        place: list[str | int] = []
        value: Any = Node(dict(nodes), Origin(""))
        for part in error["loc"]:
            inner = value.mapping.get(part) if isinstance(part, str) else next(iter(value.items[part : part + 1]), None)
            if inner is not None:
                value = inner
                place.append(part)
        found.setdefault(tuple(place), []).append(error)
    return {
        place: each
        for place, each in found.items()
        if not place or not any(len(other) > len(place) and other[: len(place)] == place for other in found)
    }


def _messages(errors: list[Mapping[str, Any]]) -> str:
    """One message for all errors at one place, also if several types are allowed."""
    kinds = list(dict.fromkeys(kind for each in errors if (kind := _kind(each))))
    if len(kinds) > 1 and len(errors) >= len(kinds):
        return f"expected {' or '.join(kinds)}, got {describe(errors[0]['input'])}"
    return _message(errors[0])


def _kind(error: Mapping[str, Any]) -> str:
    """The kind of value that a branch of a union expects; empty if the value has this kind but another fault."""
    if error["type"] == "literal_error":
        return str(error["ctx"]["expected"]).replace("'", "")
    return _EXPECTED.get(error["type"], "")


def _section_at(model: type[BaseModel], place: _Place) -> type[BaseModel]:
    """The class of the section at ``place`` within a model's options; BaseModel if there is none."""
    for part in place:
        info = model.model_fields.get(str(part))
        inner = [
            a for a in _flat(info.annotation if info else None) if isinstance(a, type) and issubclass(a, BaseModel)
        ]
        if not inner:
            return BaseModel
        model = inner[0]
    return model


def _flat(annotation: Any) -> Iterable[Any]:
    yield annotation
    for argument in get_args(annotation):
        yield from _flat(argument)
