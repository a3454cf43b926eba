"""``check_module``, the kit's entry point for modules of all kinds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from tp_core.options.base import ModuleConfig
from tp_core.spec.tree.canonical import MODEL_KINDS
from tp_core.testing.implementation import LAYER_KINDS, check_implementation
from tp_core.testing.plain_options import check_options
from tp_core.testing.specs import config_class_of, kind_of, name_of, options_of
from tp_core.testing.subject import Subject
from tp_core.testing.torch_free import check_torch_free

#: Kind → the module with the ``check`` function of this kind.
CHECKS = {
    **dict.fromkeys(MODEL_KINDS, "tp_core.testing.part"),
    **dict.fromkeys(LAYER_KINDS, "tp_core.testing.layer_part"),
    "processor": "tp_core.testing.processor",
    "source": "tp_core.testing.source",
    "tokenizer": "tp_core.testing.tokenizer",
    "optimizer": "tp_core.testing.optimizer",
    "schedule": "tp_core.testing.schedule",
    "strategy": "tp_core.testing.strategy",
    "logger": "tp_core.testing.logger",
    "hooks": "tp_core.testing.hooks",
    "converter": "tp_core.testing.converter",
    "format": "tp_core.testing.format",
    "presets": "tp_core.testing.preset",
    "commands": "tp_core.testing.command",
}

#: Kinds whose entry points do not name a config class.
_WITHOUT_OPTIONS = ("presets", "commands")


def check_module(
    module: str | type[ModuleConfig] | ModuleConfig,
    kind: str | None = None,
    options: Mapping[str, Any] | None = None,
    **given: Any,
) -> None:
    """Check that a module meets the contracts of its kind.

    Checks for all kinds: the config has a description and imports no heavy library. Its options are plain values that
    do not change when they are loaded again. Its implementation exists and accepts its arguments. The function
    ``check`` in the kind's file in :mod:`tp_core.testing` documents further checks and their arguments. Kinds that
    other packages declare have no further checks.

    Args:
        module: a name as in a spec (installed, or ``package.module:Class``), a config class, or a config.
        kind: the kind; needed if the name is installed for several kinds.
        options: the module's options. Small sizes make the check fast.
        given: further arguments for the check of the kind, such as ``records`` for a processor.

    Raises:
        AssertionError: the module breaks a contract. The message explains the problem and a remedy.
        TypeError: the check of this kind does not accept these arguments.
    """
    name = name_of(module)
    kind = kind_of(module, kind)
    particular = _particular(kind)
    _check_arguments(kind, particular, given)
    try:
        if kind in _WITHOUT_OPTIONS:
            assert particular is not None
            particular(name)
            return
        subject = Subject(kind, name, config_class_of(kind, name), options_of(module, options))
        assert subject.cls.summary(), (
            "the config class has no docstring; its first line is the module's description in 'tp modules'"
        )
        check_torch_free(subject.cls)
        if kind in (*MODEL_KINDS, *LAYER_KINDS):
            check_implementation(subject.cls)
        else:
            check_options(subject)
        if particular is not None:
            particular(subject, **given)
    except AssertionError as error:
        raise AssertionError(f"{kind} '{name}': {error}") from error.__cause__


def _particular(kind: str) -> Callable[..., None] | None:
    found: Callable[..., None] | None = import_module(CHECKS[kind]).check if kind in CHECKS else None
    return found


def _check_arguments(kind: str, particular: Callable[..., None] | None, given: Mapping[str, Any]) -> None:
    parameters = list(inspect.signature(particular).parameters.values())[1:] if particular is not None else []
    known = [each.name for each in parameters]
    for name in given:
        if name not in known:
            takes = f"it takes {', '.join(known)}" if known else "it only takes options"
            raise TypeError(f"check_module of the kind {kind} takes no '{name}'; {takes}")
    for each in parameters:
        if each.default is inspect.Parameter.empty and each.name not in given:
            raise TypeError(f"check_module of the kind {kind} needs '{each.name}'")
