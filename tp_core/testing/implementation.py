"""Checks of ``implementation``: the class can be imported and accepts the arguments that ``build`` passes.

The class is named by a string, which type checkers cannot check.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from tp_core.options.base import ModuleConfig
from tp_core.options.positions import PositionsConfig
from tp_core.options.processor import ProcessorConfig
from tp_core.spec.tree.canonical import MODEL_KINDS

#: Kinds of the parts of transformer layers.
LAYER_KINDS = ("mixer", "positions", "feed_forward", "norm")

#: Kinds whose base class builds the implementation → the types of the arguments; ``{config}`` stands for the options.
BUILT_WITH = {
    **dict.fromkeys(MODEL_KINDS, ("{config}", "BuildContext")),
    **dict.fromkeys(("mixer", "positions", "feed_forward", "visual_tokenizer"), ("{config}", "BuildContext")),
    "norm": ("{config}", "int"),
    "tokenizer": ("{config}", "DataContext"),
    "processor": ("{config}", "DataContext", "Tokenizer"),
    "optimizer": ("Iterable",),
    "schedule": ("{config}", "int", "int"),
    "strategy": ("{config}",),
    "logger": ("{config}", "LoggedRun"),
    "hooks": ("{config}",),
    "format": ("{config}", "str"),
}


def check_implementation(cls: type[ModuleConfig]) -> None:
    """Check that the ``implementation`` of a config class can be imported and accepts the arguments of ``build``.

    Classes without an implementation pass. Classes with their own ``build`` pass too, since it may pass any arguments.

    Raises:
        AssertionError: the import fails or the arguments do not fit. The message explains the problem.
    """
    if cls.implementation:
        _check_made(cls, cls.implementation, cls.implemented)
    if issubclass(cls, PositionsConfig) and cls.table:
        _check_made(cls, cls.table, lambda: cls.class_of("table"))


def _check_made(cls: type[ModuleConfig], value: str, get: Callable[[], Any]) -> None:
    """Check one class that is named in a config class.

    Args:
        cls: the config class.
        value: the name of the class, as in the config class.
        get: imports the class.
    """
    try:
        made = get()
    except Exception as error:
        raise AssertionError(
            f"its implementation '{value}' cannot be imported: {type(error).__name__}: {error}"
        ) from error
    if cls.kind not in BUILT_WITH:
        return
    passed = BUILT_WITH[cls.kind]
    if issubclass(cls, ProcessorConfig) and not cls.needs_tokenizer:
        passed = passed[:-1]
    shown = ", ".join("options" if each == "{config}" else each for each in passed)
    signature = inspect.signature(made)
    try:
        bound = signature.bind(*passed).arguments
    except TypeError as error:
        raise AssertionError(f"{value} is built with ({shown}) but takes {signature}: {error}") from None
    for type_, parameter in zip(passed, bound):
        annotation = signature.parameters[parameter].annotation
        if annotation is inspect.Parameter.empty:
            continue
        allowed = {each.__name__ for each in cls.__mro__} if type_ == "{config}" else {type_}
        named = _named_types(annotation)
        assert named & (allowed | {"Any", "object"}), (
            f"{value} is built with ({shown}), but its '{parameter}' is annotated as {annotation}"
        )


def _named_types(annotation: Any) -> set[str]:
    """The names of classes in an annotation. Annotations in modules may be strings."""
    return set(re.findall(r"\w+", annotation if isinstance(annotation, str) else str(annotation)))
