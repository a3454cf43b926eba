"""The options of installed modules, for tests over all of a kind."""

from __future__ import annotations

from tp_core import discovery
from tp_core.options.base import ModuleConfig


def names(kind: str) -> list[str]:
    """The names of a kind's modules."""
    return discovery.index().names(kind)


def option_class(kind: str, name: str) -> type[ModuleConfig]:
    """The class of a module's options."""
    found: type[ModuleConfig] = discovery.load(discovery.index().find(kind, name))
    return found
