"""From a named module and its option nodes to a validated config, with every problem placed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tp_core import discovery
from tp_core.config import ModuleConfig
from tp_core.errors import TPError
from tp_core.spec.errors import Problems
from tp_core.spec.nodes import Node, Origin
from tp_core.spec.schema_common import Chosen
from tp_core.spec.validate import Default, validate
from tp_core.suggest import did_you_mean
from tp_core.training.config import TABLES


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
    expected = discovery.article(kind)
    shown = f"'{name}'" if entry is None else f"'{name}' of {entry.distribution} {entry.version} ({entry.value})"
    if not (isinstance(cls, type) and issubclass(cls, ModuleConfig)):
        what = "a class" if isinstance(cls, type) else discovery.article(type(cls).__name__)
        raise TPError(f"{shown} is {what}, not the config class of {expected}")
    if cls.kind != kind:
        other = discovery.article(cls.kind) if cls.kind else "no kind of module"
        raise TPError(f"{shown} is the config class of {other}, not of {expected}")
    try:
        cls.model_rebuild()  # pydantic builds its schema late, and what fails there is the module's fault too
    except Exception as error:
        raise TPError(f"the config class of {kind} '{name}' is broken: {discovery.named(error)}") from error
    return cls, entry


def choose(
    kind: str, node: Node, path: str, defaults: Mapping[str, Default], problems: Problems, used: set[str]
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
        problems.add(path, str(error), options, key=True)
        problems.unknown_modules = True
        return None
    inherited = {key: value for key, value in defaults.items() if key in cls.model_fields}
    used.update(inherited)
    config = validate(cls, f"{path}.{name}", options.mapping, options, problems, inherited)
    if config is None:
        return None
    where = f"{path}.{name}"
    if entry is not None:
        return Chosen(kind, name, where, config, entry.distribution, entry.version)
    if kind in TABLES:
        return Chosen(kind, name, where, config)
    return Chosen(kind, name, where, config, "local file", "", portable=False)


def nested(kind: str, choice: Mapping[str, Mapping[str, Any]]) -> ModuleConfig:
    """The config of a module that an option chooses (:class:`~tp_core.spec.schema_common.ModuleMark`).

    Args:
        choice: ``{name: {options}}``, with paths made absolute.

    Raises:
        TPError: there is no such module, or not with these options.
    """
    problems = Problems()
    found = choose(kind, _node(choice), kind, {}, problems, set())
    if found is None:
        raise TPError("; ".join(f"{each.path}: {each.message}" for each in problems))
    config: ModuleConfig = found.config
    return config


def _node(value: Any) -> Node:
    if isinstance(value, Mapping):
        return Node({key: _node(each) for key, each in value.items()}, Origin(""))
    return Node([_node(each) for each in value] if isinstance(value, list) else value, Origin(""))


def suggest_key(name: str, known: Iterable[str], elsewhere: str = "") -> str:
    """``unknown key`` with where it belongs, the nearest right one, or all of them.

    Args:
        elsewhere: the path at which the spec has such a key, if any.
    """
    known = list(known)
    belongs = f"it belongs at {elsewhere}" if elsewhere else ""
    near = belongs or did_you_mean(name, known)
    return f"unknown key '{name}'; " + (near or f"the keys here are {', '.join(sorted(known))}")
