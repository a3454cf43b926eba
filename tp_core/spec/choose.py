"""From a named module and its option nodes to a validated config, with every problem placed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tp_core import discovery
from tp_core.config import ModuleConfig
from tp_core.errors import TPError
from tp_core.spec.errors import SpecProblem
from tp_core.spec.nodes import Node, describe
from tp_core.spec.schema import Chosen, PathMark
from tp_core.suggest import did_you_mean, nearest
from tp_core.training.config import TABLES

M = TypeVar("M", bound=BaseModel)

_EXPECTED = {
    "int_type": "expected an integer",
    "int_from_float": "expected an integer",
    "float_type": "expected a number",
    "bool_type": "expected true or false",
    "string_type": "expected a text",
    "list_type": "expected a list",
    "dict_type": "expected a mapping",
    "model_type": "expected a mapping",
    "model_attributes_type": "expected a mapping",
    "none_required": "expected null",
}


class Problems(list[SpecProblem]):
    """The problems found so far."""

    def add(self, path: str, message: str, node: Node, *, key: bool = False) -> None:
        self.append(SpecProblem(path, message, node.at() if key else node.origin))


def _message(error: Mapping[str, Any]) -> str:
    """A pydantic error in the words of someone who writes a spec."""
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    if kind in _EXPECTED:
        return f"{_EXPECTED[kind]}, got {describe(value)}"
    if kind == "literal_error":
        expected = context["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        message = f"expected one of {', '.join(expected)}; got {describe(value)}"
        near = did_you_mean(value, expected) if isinstance(value, str) else ""
        return f"{message}; {near}" if near else message
    for name, words in (
        ("gt", "greater than"),
        ("ge", "at least"),
        ("lt", "less than"),
        ("le", "at most"),
    ):
        if name in context and kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
            return f"must be {words} {context[name]}, got {value}"
    if kind == "missing":
        return "is required"
    if kind == "value_error":
        return str(context.get("error", error["msg"]))
    return str(error["msg"])


def resolve_paths(model: type[BaseModel], plain: dict[str, Any], nodes: Mapping[str, Node]) -> dict[str, Any]:
    """Make options that are marked as paths absolute, from the folder where each was written."""
    for name, info in model.model_fields.items():
        if name not in nodes or not _is_path(info):
            continue
        base = nodes[name].origin.base
        value = plain[name]
        if isinstance(value, str):
            plain[name] = absolute(value, base)
        elif isinstance(value, list):
            plain[name] = [absolute(v, base) if isinstance(v, str) else v for v in value]
    return plain


def _is_path(info: Any) -> bool:
    return any(isinstance(m, PathMark) for m in info.metadata) or "PathMark" in str(info.annotation)


def absolute(path: str, base: str) -> str:
    """``path`` from ``base``; hub names (``hf://...``) stay."""
    if path.startswith("hf://"):
        return path
    return os.path.abspath(os.path.join(base, os.path.expanduser(path)))


def validate(model: type[M], path: str, nodes: Mapping[str, Node], at: Node, problems: Problems) -> M | None:
    """Validate option nodes with a pydantic model; problems carry the option's place.

    Args:
        nodes: option → node; an option inherited from elsewhere keeps the place where it was written.
        at: where to point when no option is to blame.
    """
    plain = {name: node.plain() for name, node in nodes.items()}
    known = list(model.model_fields)
    for name in [n for n in plain if n not in known]:
        message = f"unknown option '{name}'"
        near = nearest(name, known)
        if near:
            message += f"; did you mean '{near}'?"
        elif known:
            message += f"; the options are {', '.join(known)}"
        else:
            message += "; there are no options"
        problems.add(f"{path}.{name}", message, nodes[name], key=True)
        del plain[name]
    try:
        return model.model_validate(resolve_paths(model, plain, nodes))
    except ValidationError as error:
        seen: set[str] = set()
        for each in error.errors(include_url=False):
            loc = each["loc"]
            name = str(loc[0]) if loc else ""
            if name in seen:  # a union reports every branch; the first says what is wrong
                continue
            seen.add(name)
            if name in nodes:
                node = nodes[name].find(tuple(loc[1:]))
                tail = "".join(f".{part}" for part in loc if part in known or not isinstance(part, int))
                tail = tail if isinstance(nodes[name].value, dict) else f".{name}"
                problems.add(f"{path}{tail}", _message(each), node, key=each["type"] == "extra_forbidden")
            else:
                problems.add(f"{path}.{name}" if name else path, _message(each), at, key=True)
        return None


def config_class(kind: str, name: str, base: str) -> tuple[type[ModuleConfig], discovery.Entry | None]:
    """The config class that a spec's name stands for.

    Raises:
        TPError: unknown, ambiguous or broken.
    """
    if kind in TABLES:
        table = TABLES[kind]
        if name not in table:
            near = did_you_mean(name, table) or f"known: {', '.join(table)}"
            raise TPError(f"unknown {kind} '{name}'; {near}")
        return table[name], None
    if ":" in name:
        cls, entry = discovery.load_local(name, base), None
    else:
        entry = discovery.index().find(kind, name)
        cls = discovery.load(entry)
    if not (isinstance(cls, type) and issubclass(cls, ModuleConfig) and cls.kind == kind):
        raise TPError(f"{kind} '{name}' is no config class of a {kind}: {cls!r}")
    return cls, entry


def choose(
    kind: str, node: Node, path: str, defaults: Mapping[str, Node], problems: Problems, used: set[str]
) -> Chosen[Any] | None:
    """Validate one canonical module choice, ``{name: {options}}``.

    Args:
        defaults: values from ``model:`` for options that the module has and the spec leaves unset.
        used: receives the names of the defaults that some module has as an option.
    """
    ((name, options),) = node.mapping.items()
    try:
        cls, entry = config_class(kind, name, options.origin.base)
    except TPError as error:
        problems.add(f"{path}", str(error), options, key=True)
        return None
    inherited = {key: value for key, value in defaults.items() if key in cls.model_fields}
    used.update(inherited)
    own = options.mapping
    config = validate(cls, f"{path}.{name}", {**inherited, **own}, options, problems)
    if config is None:
        return None
    if entry is not None:
        origin = {"distribution": entry.distribution, "version": entry.version}
    elif kind in TABLES:
        origin = {}
    else:
        return Chosen(kind, name, f"{path}.{name}", config, "local file", "", portable=False)
    return Chosen(kind, name, f"{path}.{name}", config, **origin)


def suggest_key(name: str, known: Iterable[str]) -> str:
    """``unknown key`` with the nearest right one, or all of them."""
    known = list(known)
    near = did_you_mean(name, known)
    return f"unknown key '{name}'; " + (near or f"the keys here are {', '.join(sorted(known))}")
