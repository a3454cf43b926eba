"""Lookup of a module's config class by its name in a spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from pydantic import BaseModel

from tp_core import discovery
from tp_core.errors import TPError, describe_error
from tp_core.local.trust import may_run, refusal

if TYPE_CHECKING:
    from tp_core.local import Namespace
    from tp_core.options.base import ModuleConfig


class Found(NamedTuple):
    """The class that a spec names.

    Attributes:
        entry: the entry of an installed module; None for other modules.
        local: the files of a module in a file beside the spec; None for other modules.
    """

    cls: type[ModuleConfig]
    entry: discovery.PluginEntry | None = None
    local: Namespace | None = None


def config_class(kind: str, name: str, base: str) -> tuple[type[ModuleConfig], discovery.PluginEntry | None]:
    """The config class that a spec names, and its entry if it is installed.

    Raises:
        TPError: the name is unknown or ambiguous, or the module is broken.
    """
    found = find(kind, name, base)
    return found.cls, found.entry


def _of_options(cls: Any) -> TypeGuard[type[ModuleConfig]]:
    """True for a class of options. Options may refer to base classes by name, so that nothing is imported here."""
    return isinstance(cls, type) and issubclass(cls, BaseModel) and hasattr(cls, "kind")


def find(kind: str, name: str, base: str) -> Found:
    """The config class and its origin; see :func:`config_class`."""
    entry: discovery.PluginEntry | None = None
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
    if not _of_options(cls):
        what = "a class" if isinstance(cls, type) else discovery.article(type(cls).__name__)
        raise TPError(f"{shown} is {what}, not the config class of {expected}")
    if cls.kind != kind:
        other = discovery.article(cls.kind) if cls.kind else "no kind of module"
        raise TPError(f"{shown} is the config class of {other}, not of {expected}")
    try:
        cls.model_rebuild()  # pydantic builds the schema late; an error in it is a fault of the module
    except Exception as error:
        raise TPError(f"the config class of {kind} '{name}' is broken: {describe_error(error)}") from error
    return Found(cls, entry, local)
