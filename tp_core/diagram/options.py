"""Descriptions of the main options of a module."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from pydantic_core import PydanticUndefined

from tp_core.options.base import ModuleConfig
from tp_core.options.choice import choices_in, slots_of, usual
from tp_core.options.context import BuildContext
from tp_core.options.marks import is_size, is_training_only
from tp_core.spec.hints.places import PARTS

#: Options that are not shown: the diagram shows them in another way.
_SILENT = frozenset({"stream", "embedding_size", "activation_checkpointing"})
_MOST = 12


def spoken(config: ModuleConfig, context: BuildContext) -> list[str]:
    """Descriptions of a module's sizes and of the options that differ from their defaults.

    They include the options of the parts of its layers.
    """
    sizes: dict[str, Any] = {}
    unusual = list(_unusual(config, context, sizes, {}, ""))
    counts_first = sorted(sizes, key=lambda name: not name.startswith("num_"))
    facts = [*(_fact(name, sizes[name]) for name in counts_first), *unusual]
    return facts if len(facts) <= _MOST else [*facts[:_MOST], f"{len(facts) - _MOST} more"]


def _unusual(
    config: ModuleConfig, context: BuildContext, sizes: dict[str, Any], passed: dict[str, Any], owner: str
) -> Iterator[str]:
    """Descriptions of the options of a module and of its parts that differ from their defaults.

    Args:
        config: the options of the module.
        context: the context in which the module is built.
        sizes: receives the sizes that it does not contain yet.
        passed: defaults of the options that the enclosing module passes on to this part.
        owner: name of the part, shown with its options; empty for the module itself.
    """
    effective, fields = config.effective(context), type(config).model_fields
    marked = [name for name, info in fields.items() if is_size(info)]
    for name in marked:
        if effective.get(name) is not None:
            sizes.setdefault(name, effective[name])
    # Slices are shown as an option, because their contents apply to some layers only.
    whole = config.model_copy(update={config.sliced: None}) if config.sliced else config
    parts = [(option, each) for option, each in choices_in(whole) if each.kind in PARTS]
    usual_here = {name: usual(type(config), name) for name in type(config).passed_on}
    for name, value in config.model_dump(mode="json").items():
        if name in effective and name not in marked and name not in _SILENT and value is not None:
            default = passed.get(name, fields[name].get_default(call_default_factory=True))
            if isinstance(default, str) and isinstance(value, dict):  # the choice of a module
                default, value = default, ", ".join(value)
            quiet = is_training_only(fields[name]) or name.endswith("eps")
            if not quiet and (default is PydanticUndefined or value != default):
                plain = name in passed or name in slots_of(type(config))
                yield _fact(name, value) if plain or not owner else f"{owner} {_fact(name, value)}"
        for option, each in parts:
            if option == name:
                inner = config.inner_context(option, context)
                yield from _unusual(each.config, inner, sizes, {**passed, **usual_here}, each.name)


def _fact(name: str, value: Any) -> str:
    words = name.replace("feed_forward", "feed-forward").replace("_", " ")
    if value is True:
        return words
    if value is False:
        return f"{words} off"
    if words.startswith("num ") and not isinstance(value, dict):
        return f"{_said(value)} {words[4:].removesuffix('s') if value == 1 else words[4:]}"
    words, said = words.removeprefix("num "), _said(value)
    return said if words in said else f"{words} {said}"  # "rmsnorm" instead of "norm rmsnorm"


def _said(value: Any) -> str:
    if isinstance(value, dict):
        # Of a module that is itself an option, only the name is shown, to keep the text short.
        return ", ".join(str(key) if isinstance(each, dict) else f"{key} {_said(each)}" for key, each in value.items())
    if isinstance(value, list):
        if len(value) > 2 and all(each == value[0] for each in value):
            return f"{len(value)} × {_said(value[0])}"
        if len(value) == 2 and all(isinstance(each, int) for each in value):
            return f"{value[0]} × {value[1]}"
        shown = ", ".join(_said(each) for each in value[:8])
        return f"{shown}, …" if len(value) > 8 else shown
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, int):
        return str(value) if value < 10000 else f"{value:,}"
    text = str(value)
    text = os.path.basename(text.rstrip("/")) if "/" in text else text
    return text.replace("_", " ") if len(text) <= 60 else f"{text[:59]}…"
