"""An implementation is named by text, which no type checker reads: it is there, and takes what it is built with."""

from __future__ import annotations

import inspect
import re
from typing import Any

from tp_core.options.base import ModuleConfig
from tp_core.options.processor import ProcessorConfig
from tp_core.spec.canonical import MODEL_KINDS

#: Kinds of modules whose base builds the implementation → the types of what it passes, ``{config}`` for the options.
BUILT_WITH = {
    **dict.fromkeys(MODEL_KINDS, ("{config}", "BuildContext")),
    "visual_tokenizer": ("{config}", "BuildContext"),
    "tokenizer": ("{config}", "DataContext"),
    "processor": ("{config}", "DataContext", "Tokenizer"),
    "optimizer": ("Iterable",),
    "schedule": ("{config}", "int", "int"),
    "strategy": ("{config}",),
    "logger": ("{config}", "LoggedRun"),
    "hooks": ("{config}",),
}


def check_implementation(cls: type[ModuleConfig]) -> None:
    """Check that the ``implementation`` of a config class can be imported and takes what ``build`` passes.

    Classes without one pass, and so do those whose ``build`` is their own and may pass anything.

    Raises:
        AssertionError: what is wrong.
    """
    if not cls.implementation:
        return
    try:
        made = cls.implemented()
    except Exception as error:
        raise AssertionError(
            f"its implementation '{cls.implementation}' cannot be imported: {type(error).__name__}: {error}"
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
        raise AssertionError(f"{cls.implementation} is built with ({shown}) and takes {signature}: {error}") from None
    for type_, parameter in zip(passed, bound):
        annotation = signature.parameters[parameter].annotation
        if annotation is inspect.Parameter.empty:
            continue
        allowed = {each.__name__ for each in cls.__mro__} if type_ == "{config}" else {type_}
        named = _named_types(annotation)
        assert named & (allowed | {"Any", "object"}), (
            f"{cls.implementation} is built with ({shown}), and its '{parameter}' is annotated as {annotation}"
        )


def _named_types(annotation: Any) -> set[str]:
    """The classes that an annotation names; annotations of modules are texts."""
    return set(re.findall(r"\w+", annotation if isinstance(annotation, str) else str(annotation)))
