"""Conversion of a module's name and option nodes to a validated config; every problem has its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tp_core import discovery
from tp_core.errors import TPError
from tp_core.options.base import Choosing
from tp_core.options.choice import Chosen, Slot, slots_of, usual
from tp_core.options.missing import MissingConfig
from tp_core.packages.installed import installed_version
from tp_core.packages.plugin_errors import plugin_error
from tp_core.spec.choices.find import find
from tp_core.spec.choices.slices import sliced
from tp_core.spec.choices.validate import Default, validate
from tp_core.spec.errors import Problems, SpecError
from tp_core.spec.hints.key_hints import hint
from tp_core.spec.trained.use import in_use
from tp_core.spec.tree.canonical import instance_name, shelf, slot, sources
from tp_core.spec.tree.nodes import Node, as_node


class Used(set[str]):
    """The names of the defaults in ``model:`` that at least one module has as an option.

    Attributes:
        taken: paths of the defaults that are the value of an option of a module.
        set_elsewhere: path of a default → path and node of an option that has another value.
    """

    def __init__(self) -> None:
        super().__init__()
        self.taken: set[str] = set()
        self.set_elsewhere: dict[str, tuple[str, Node]] = {}

    def add_all(self, defaults: Mapping[str, Default], where: str, options: Mapping[str, Node]) -> None:
        """Note the defaults of options that a module has.

        Args:
            where: path of the module.
            options: the options that the spec sets for the module.
        """
        self.update(defaults)
        for name, default in defaults.items():
            if name not in options or options[name].plain() == default.node.plain():
                self.taken.add(default.path)
            else:
                self.set_elsewhere.setdefault(default.path, (f"{where}.{name}", options[name]))


def choose(
    kind: str,
    node: Node,
    path: str,
    defaults: Mapping[str, Default],
    problems: Problems,
    used: Used,
    place: str = "",
) -> Chosen[Any] | None:
    """Validate one canonical module choice, ``{name: {options}}``, and the choices in its options.

    Args:
        defaults: values from ``model:`` and from the enclosing module, for options that the spec does not set.
        used: receives the defaults of options that the module and its parts have.
        place: like ``path``, but with module names without their distributions.
    """
    ((name, options),) = node.mapping.items()
    try:
        cls, entry, local = find(kind, name, options.origin.base)
    except TPError as error:
        problems.add(path, _not_found(error, kind, name, options.origin.base), options, key=True)
        problems.unknown_modules = True
        return None
    inherited = {key: value for key, value in defaults.items() if key in cls.model_fields and key != "name"}
    own = instance_name(node, kind)
    where = f"{path}.{own}"
    used.add_all(inherited, where, options.mapping)
    by_name = f"{place or path}.{own if entry is None or own != name else entry.name}"
    before = len(problems)
    try:
        made = Choices(cls, where, by_name, options, inherited, problems, used).made(defaults)
        whole = len(problems) == before
        plain = {option: each for option, each in options.mapping.items() if not cls.sliced or option != cls.sliced}
        config = validate(cls, where, plain, options, problems, inherited, made)
        slices = options.mapping.get(cls.sliced) if cls.sliced else None
        if config is not None and whole and slices is not None and slices.value is not None:

            def parts(own: str, by_name: str, merged: Node) -> dict[str, Any]:
                return Choices(cls, own, by_name, merged, inherited, problems, used).made(defaults)

            found = sliced(config, slices, where, by_name, options, inherited, parts, problems)
            whole = len(problems) == before
            config = config.model_copy(update={cls.sliced: found})
    except BaseException as error:  # an exception of a validator
        told = plugin_error(error)
        if told is None:
            raise
        problems.add(where, str(told), options, key=True)
        return None
    if config is None or not whole:
        return None
    return Chosen.of(kind, name, config, entry, path=where, place=by_name, local=local)


class Choices:
    """The modules that the options of one module, or of a component, choose."""

    def __init__(
        self,
        cls: type[Choosing],
        where: str,
        place: str,
        options: Node,
        inherited: Mapping[str, Default],
        problems: Problems,
        used: Used,
    ) -> None:
        self.cls, self.where, self.place, self.options = cls, where, place, options
        self.inherited, self.problems, self.used = inherited, problems, used

    def made(self, defaults: Mapping[str, Default]) -> dict[str, Any]:
        """Option → the chosen module, or a placeholder and a problem if the module is not available."""
        found = {}
        for option, slot_ in slots_of(self.cls).items():
            given = self._given(option)
            if given is not None and given.node.value is not None:
                found[option] = self._chosen(option, slot_, given, {**defaults, **self._passed_on()})
        return found

    def _given(self, option: str) -> Default | None:
        """The value of an option: from the spec, a default of the model, or its own default; None if it has none."""
        if option in self.options.mapping:
            return Default(f"{self.where}.{option}", self.options.mapping[option])
        if option in self.inherited:
            return self.inherited[option]
        value = usual(self.cls, option)
        return None if value is None else Default(f"{self.where}.{option}", as_node(value, self.options.origin))

    def _passed_on(self) -> dict[str, Default]:
        """The options that serve as defaults for the chosen modules."""
        found = {option: self._given(option) for option in self.cls.passed_on}
        return {option: given for option, given in found.items() if given is not None and given.node.value is not None}

    def _chosen(self, option: str, slot_: Slot, given: Default, defaults: Mapping[str, Default]) -> Any:
        try:
            if slot_.paths:
                return self._inputs(option, slot_, sources(given.node, given.path), given.path, defaults)
            canonical = shelf(given.node, given.path) if slot_.many else slot(given.node, given.path)
        except SpecError as error:
            self.problems += error.problems
            self.problems.unknown_modules = True
            return [] if slot_.many or slot_.paths else _unknown(slot_.kind, given.path)
        nodes = canonical.items if slot_.many else [canonical]
        found = [self._one(option, slot_, each, given.path, defaults) for each in nodes]
        return found if slot_.many else found[0]

    def _inputs(self, option: str, slot_: Slot, node: Node, path: str, defaults: Mapping[str, Default]) -> list[Any]:
        """Data inputs: paths unchanged, and the chosen modules."""
        if not isinstance(node.value, list):
            return [self._one(option, slot_, node, path, defaults) if node.mapping else node.value]
        return [
            self._one(option, slot_, each, f"{path}[{number}]", defaults) if each.mapping else each.value
            for number, each in enumerate(node.items)
        ]

    def _one(self, option: str, slot_: Slot, node: Node, path: str, defaults: Mapping[str, Default]) -> Chosen[Any]:
        own = Problems()
        own.tree = self.problems.tree
        place = f"{self.place}.{option}"
        found = choose(slot_.kind, node, path, defaults, own, self.used, place)
        if own and in_use() and option in self.cls.makes_labels:
            return _missing(slot_.kind, node, path, place, "; ".join(each.message for each in own))
        self.problems += own
        self.problems.unknown_modules |= own.unknown_modules
        return found or _unknown(slot_.kind, path)


def _missing(kind: str, node: Node, path: str, place: str, reason: str) -> Chosen[Any]:
    """A placeholder for a module that is not available, with its options as in the spec."""
    ((written, options),) = node.mapping.items()
    name, plain = written.partition("@")[0], options.plain()
    assert isinstance(plain, dict)
    config, by_name = MissingConfig.of(plain, reason), f"{place}.{name}"
    return Chosen(kind, name, f"{path}.{written}", config, "", written=written, place=by_name, missing=reason)


def _unknown(kind: str, path: str) -> Chosen[Any]:
    """A placeholder for an invalid choice, so that the other options are still checked."""
    return Chosen(kind, "", path, MissingConfig(), missing="unknown")


def _not_found(error: TPError, kind: str, name: str, folder: str) -> str:
    """The message for a module that is not available. A trained model's folder records its package."""
    if isinstance(error, discovery.UnknownModuleError):
        from tp_core.spec.trained.provenance import package_of

        if package := package_of(folder, kind, name):
            installed = installed_version(package.name)
            here = f", and {installed} is installed" if installed else ""
            made = f"the model was made with that of {package.name} {package.version}{here}"
            return f"{error.message}; {made}: pip install '{package.requirement}'"
    return str(error)


def suggest_key(name: str, known: Iterable[str], section: str = "", tree: Node | None = None) -> str:
    """The message about an unknown key, with the right place, the nearest valid key, or all valid keys.

    Args:
        section: the path of the mapping with the key.
        tree: the whole spec.
    """
    known = list(known)
    near = hint(name, known, section, tree)
    return f"unknown key '{name}'; " + (near or f"the keys here are {', '.join(sorted(known))}")
