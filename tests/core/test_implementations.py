"""Options name their modules by text, which no type checker reads: each name leads to a module that takes them."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from tp_core import discovery
from tp_core.options.base import ModuleConfig, imported
from tp_core.options.context import BuildContext
from tp_core.options.embedding import EmbeddingConfig
from tp_core.options.processor import ProcessorConfig

#: Kinds of modules that are built → the types of what they are built with, beside their options.
SURROUNDINGS = {
    "embedding": ["BuildContext"],
    "encoder": ["BuildContext"],
    "decoder": ["BuildContext"],
    "target": ["BuildContext"],
    "tokenizer": ["DataContext"],
    "visual_tokenizer": ["BuildContext"],
    "processor": ["DataContext", "Tokenizer"],
    "hooks": [],
}


def option_classes() -> list[type[ModuleConfig]]:
    """The options of all installed modules, each class once."""
    entries = (entry for kind in SURROUNDINGS for entry in discovery.index().entries(kind))
    return list(dict.fromkeys(discovery.load(entry) for entry in entries))


def named_types(annotation: Any) -> set[str]:
    """The classes that an annotation names; annotations of modules are texts."""
    return set(re.findall(r"\w+", annotation if isinstance(annotation, str) else annotation.__name__))


@pytest.mark.parametrize("options", option_classes(), ids=lambda cls: cls.__name__)
def test_an_implementation_takes_what_it_is_built_with(options: type[ModuleConfig]) -> None:
    assert options.implementation, f"{options.__name__} names no implementation"
    wanted = SURROUNDINGS[options.kind]
    if issubclass(options, ProcessorConfig) and not options.needs_tokenizer:
        wanted = wanted[:1]
    parameters = [*inspect.signature(options.implemented()).parameters.values()]
    needed = [each for each in parameters if each.default is inspect.Parameter.empty]
    first, *others = [named_types(each.annotation) for each in needed]
    assert first & {cls.__name__ for cls in options.__mro__}
    assert [wanted_type in found for wanted_type, found in zip(wanted, others, strict=True)] == [True] * len(wanted)


def test_all_kinds_of_modules_that_are_built_are_looked_at() -> None:
    built = {cls.kind for cls in option_classes() if hasattr(cls, "build")}
    assert built == SURROUNDINGS.keys()
    assert len(option_classes()) > 75


def test_options_without_an_implementation_say_so() -> None:
    class Bare(EmbeddingConfig):
        pass

    with pytest.raises(TypeError, match=r"Bare has neither an implementation nor a build\(\) of its own"):
        Bare().build(BuildContext())


def test_a_name_of_an_implementation_is_a_module_and_a_name_in_it() -> None:
    assert imported("tp_core.options.context:BuildContext") is BuildContext
    with pytest.raises(AttributeError):
        imported("tp_core.options.context:Missing")
