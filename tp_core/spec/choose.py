"""From a named module and its option nodes to a validated config, with every problem placed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from tp_core import discovery
from tp_core.config import ModuleConfig
from tp_core.errors import TPError
from tp_core.plugin_errors import plugin_error
from tp_core.spec.errors import Problems
from tp_core.spec.merge import called
from tp_core.spec.nodes import Node, Origin
from tp_core.spec.schema_common import Choice, Chosen, Deferred
from tp_core.spec.validate import Default, kind_of_module, validate
from tp_core.spec.words import hint, nothing, value_hint
from tp_core.training.config import TABLES
from tp_core.trust import may_run, refusal, running_local_files

if TYPE_CHECKING:
    from tp_core.local import Namespace


class _Found(NamedTuple):
    """What a spec's name stands for.

    Attributes:
        entry: of an installed module; None for another.
        local: the files of a module that is in a file beside the spec; None for another.
    """

    cls: type[ModuleConfig]
    entry: discovery.Entry | None = None
    local: Namespace | None = None


def config_class(kind: str, name: str, base: str) -> tuple[type[ModuleConfig], discovery.Entry | None]:
    """The config class that a spec's name stands for, and the entry of one that is installed.

    Raises:
        TPError: unknown, ambiguous or broken.
    """
    found = _find(kind, name, base)
    return found.cls, found.entry


def _find(kind: str, name: str, base: str) -> _Found:
    if kind in TABLES:
        table = TABLES[kind]
        if name not in table:
            near = value_hint(name, table) or nothing(name) or f"known: {', '.join(table)}"
            raise TPError(f"unknown {kind} '{name}'; {near}")
        return _Found(table[name])
    entry: discovery.Entry | None = None
    local: Namespace | None = None
    if ":" in name:
        if not may_run(name, base):
            raise TPError(refusal(name, base))
        from tp_core.local.load import load

        cls, local = load(name, base)
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
    return _Found(cls, entry, local)


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
        cls, entry, local = _find(kind, name, options.origin.base)
    except TPError as error:
        problems.add(path, _not_found(error, kind, name, options.origin.base), options, key=True)
        problems.unknown_modules = True
        return None
    inherited = {key: value for key, value in defaults.items() if key in cls.model_fields and key != "name"}
    used.update(inherited)
    where = f"{path}.{called(node, kind)}"
    try:
        config = validate(cls, where, options.mapping, options, problems, inherited)
    except BaseException as error:  # of a validator
        told = plugin_error(error)
        if told is None:
            raise
        problems.add(where, str(told), options, key=True)
        return None
    if config is None:
        return None
    if entry is not None:
        return Chosen(kind, entry.name, where, config, entry.distribution, entry.version, written=name)
    if kind in TABLES:
        return Chosen(kind, name, where, config)
    return Chosen(kind, name, where, config, "local file", "", portable=False, local=local)


def _not_found(error: TPError, kind: str, name: str, folder: str) -> str:
    """The message for a module that cannot be had; a trained model's folder says which package it came from."""
    if isinstance(error, discovery.NotFound):
        from tp_core.spec.provenance import package_of

        if package := package_of(folder, kind, name):
            installed = discovery.installed_version(package.name)
            here = f", and {installed} is installed" if installed else ""
            made = f"the model was made with that of {package.name} {package.version}{here}"
            return f"{error.message}; {made}: pip install '{package.requirement}'"
    return str(error)


def nested(kind: str, choice: Mapping[str, Mapping[str, Any]]) -> ModuleConfig:
    """The config of a module that an option chooses (:class:`~tp_core.spec.schema_common.ModuleMark`).

    Args:
        choice: the option's value. Of a spec that was loaded it knows its module; any other is ``{name: {options}}``,
            with paths made absolute, and of installed modules.

    Raises:
        TPError: there is no such module, or not with these options.
    """
    if isinstance(choice, Deferred):
        raise TPError(choice.reason)
    config: ModuleConfig = _chosen_by_option(kind, choice, kind).config
    return config


def within(chosen: Chosen[Any]) -> Iterator[Chosen[Any]]:
    """The modules that a module's options choose, and those that theirs choose; without those that are not there."""
    for found in chosen_by_options(chosen).values():
        yield found
        yield from within(found)


def chosen_by_options(chosen: Chosen[Any]) -> dict[str, Chosen[Any]]:
    """Option → the module that it chooses, of those that choose one which is there."""
    made = {}
    for option, info in type(chosen.config).model_fields.items():
        kind, choice = kind_of_module(info), getattr(chosen.config, option)
        if kind and choice and not isinstance(choice, Deferred):
            found = _chosen_by_option(kind, choice, kind)
            made[option] = replace(found, path=f"{chosen.path}.{option}.{found.called}")
    return made


def _chosen_by_option(kind: str, choice: Mapping[str, Mapping[str, Any]], path: str) -> Chosen[Any]:
    if isinstance(choice, Choice):
        return choice.chosen
    problems = Problems()
    with running_local_files(False):  # a plain name has no folder
        found = choose(kind, _node(choice, Origin("")), path, {}, problems, set())
    if found is None:
        raise TPError("; ".join(f"{each.path}: {each.message}" for each in problems))
    return found


def _node(value: Any, origin: Origin) -> Node:
    if isinstance(value, Mapping):
        return Node({key: _node(each, origin) for key, each in value.items()}, origin)
    return Node([_node(each, origin) for each in value] if isinstance(value, list) else value, origin)


def suggest_key(name: str, known: Iterable[str], section: str = "", tree: Node | None = None) -> str:
    """``unknown key`` with where it belongs, the nearest right one, or all of them.

    Args:
        section: the path of the mapping that has the key.
        tree: the whole spec.
    """
    known = list(known)
    near = hint(name, known, section, tree)
    return f"unknown key '{name}'; " + (near or f"the keys here are {', '.join(sorted(known))}")
