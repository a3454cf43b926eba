"""Reports exceptions of plugins during checks of a spec at the place of their module. Torch-free."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

from tp_core.options.base import ModuleConfig, Problem
from tp_core.packages.plugin_errors import PluginError, expect, plugin_error
from tp_core.spec.errors import Problems, SpecError
from tp_core.spec.schema import Spec


@contextlib.contextmanager
def plugin_errors_told(problems: Problems, spec: Callable[[], Spec | None]) -> Iterator[None]:
    """A context that reports a plugin's exception as a problem of its module, after earlier problems.

    Args:
        spec: returns the spec; None while there is none.

    Raises:
        SpecError: names the place of the module whose code was running.
        PluginError: the failing code does not belong to a module of the spec.
    """
    try:
        yield
    except BaseException as error:
        told = error if isinstance(error, PluginError) else plugin_error(error)
        if told is None:
            raise
        whole = spec()
        if whole is not None and _add(told, whole, problems):
            raise SpecError(problems) from error
        if told is error:
            raise
        raise told from error


def listed(config: ModuleConfig, method: str, *arguments: Any) -> list[Problem]:
    """The problems that a method of a module's options finds.

    Raises:
        PluginError: the method returns something else.
    """
    expected = "an iterable of Problem(option, message)"
    found: Any = getattr(config, method)(*arguments)
    every = list(expect(found, Iterable, config, method, expected))
    return [expect(each, Problem, config, method, expected) for each in every]


def files_of(config: ModuleConfig, method: Literal["files", "training_files"] = "files") -> dict[str, str]:
    """The files that a module reads, as option → path.

    Raises:
        PluginError: the method returns something else.
    """
    found: Any = getattr(config, method)()
    return expect(found, dict, config, method, "a dict of options and paths")


def _add(told: PluginError, spec: Spec, problems: Problems) -> bool:
    """Add the problem of the module whose method was running; False if the spec has no such module."""
    from tp_core.spec.choices.module_nodes import all_modules, node_of

    for chosen in (each for part in spec.sets().values() for each in all_modules(part)):
        if chosen.config is told.subject:
            problems.add(chosen.path, str(told), node_of(spec.tree, chosen), key=True)
            return True
    return False
