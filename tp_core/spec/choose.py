"""From a named module and its option nodes to a validated config, with every problem placed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tp_core import discovery
from tp_core.errors import TPError
from tp_core.installed import installed_version
from tp_core.options.base import ModuleConfig
from tp_core.plugin_errors import plugin_error
from tp_core.spec.canonical import called, slot
from tp_core.spec.errors import Problems, SpecError
from tp_core.spec.find import find
from tp_core.spec.key_hints import hint
from tp_core.spec.nodes import Node, Origin
from tp_core.spec.schema_common import Choice, Chosen, Deferred, ModuleMark, kind_of_module, mark_of
from tp_core.spec.validate import Default, validate
from tp_core.trust import running_local_files
from tp_core.use import in_use

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec


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
        cls, entry, local = find(kind, name, options.origin.base)
    except TPError as error:
        problems.add(path, _not_found(error, kind, name, options.origin.base), options, key=True)
        problems.unknown_modules = True
        return None
    inherited = {key: value for key, value in defaults.items() if key in cls.model_fields and key != "name"}
    used.update(inherited)
    where = f"{path}.{called(node, kind)}"
    try:
        made = _nested(cls, options, where, problems)
        config = validate(cls, where, options.mapping, options, problems, inherited, made)
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
    return Chosen(kind, name, where, config, "local file", "", portable=False, local=local)


def _nested(
    cls: type[ModuleConfig], options: Node, path: str, problems: Problems
) -> dict[str, Choice | Deferred | None]:
    """The modules that options choose, of those that the spec gives; None where something is wrong with one."""
    given = {name: node for name, node in options.mapping.items() if node.value is not None}
    marks = {name: mark_of(info) for name, info in cls.model_fields.items() if name in given}
    return {name: _chosen(mark, given[name], f"{path}.{name}", problems) for name, mark in marks.items() if mark}


def _chosen(mark: ModuleMark, node: Node, path: str, problems: Problems) -> Choice | Deferred | None:
    """An option that chooses a module, ``{name: {every option}}``; None where something is wrong with it."""
    try:
        canonical = slot(node, path)
    except SpecError as error:
        problems += error.problems
        return None
    own = Problems()
    own.tree = problems.tree
    found = choose(mark.kind, canonical, path, {}, own, set())
    if mark.labels and in_use() and own:
        plain: Any = canonical.plain()
        return Deferred(plain, "; ".join(each.message for each in own))
    problems += own
    problems.unknown_modules |= own.unknown_modules
    return None if found is None else Choice(found)


def _not_found(error: TPError, kind: str, name: str, folder: str) -> str:
    """The message for a module that cannot be had; a trained model's folder says which package it came from."""
    if isinstance(error, discovery.NotFound):
        from tp_core.spec.provenance import package_of

        if package := package_of(folder, kind, name):
            installed = installed_version(package.name)
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


def all_modules(spec: Spec) -> list[Chosen[Any]]:
    """All modules that a spec uses, those that options of others choose among them."""
    return [each for chosen in spec.own_modules() for each in (chosen, *within(chosen))]


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
