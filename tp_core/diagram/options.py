"""The main options of a module in words."""

from __future__ import annotations

import os
from typing import Any

from pydantic_core import PydanticUndefined

from tp_core.options.base import ModuleConfig
from tp_core.options.context import BuildContext

#: Said of every module that has them, even with their default, in this order.
_SIZES = (
    *("num_layers", "num_heads", "hidden_size", "feed_forward_size", "kernel_size", "image_size", "patch_size"),
    *("channels", "max_length", "num_segments", "num_labels", "projection_size", "num_mel_bins", "size"),
)
#: Not said: what the drawing shows in another way, and what is of interest in training only.
_SILENT = frozenset({"stream", "weight", "embedding_size", "activation_checkpointing", "layer_drop_growing"})
_MOST = 12


def spoken(config: ModuleConfig, context: BuildContext) -> list[str]:
    """A module's sizes, and those options that are not as they would be if nobody had said anything."""
    effective, fields = config.effective(context), type(config).model_fields
    found = {name: effective[name] for name in _SIZES if effective.get(name) is not None}
    for name, value in config.model_dump(mode="json").items():
        if name in found or name not in effective or name in _SILENT or value is None:
            continue
        default = fields[name].get_default(call_default_factory=True)
        if isinstance(default, str) and isinstance(value, dict):  # the choice of a module
            default, value = default, ", ".join(value)
        quiet = name.endswith(("_std", "_eps")) or "dropout" in name or "layer_drop" in name or "init" in name
        if not quiet and (default is PydanticUndefined or value != default):
            found[name] = value
    facts = [_fact(name, value) for name, value in found.items()]
    return facts if len(facts) <= _MOST else [*facts[:_MOST], f"{len(facts) - _MOST} more"]


def _fact(name: str, value: Any) -> str:
    words = name.replace("feed_forward", "feed-forward").replace("_", " ")
    if value is True:
        return words
    if value is False:
        return f"{words} off"
    if words.startswith("num ") and not isinstance(value, dict):
        return f"{_said(value)} {words[4:].removesuffix('s') if value == 1 else words[4:]}"
    words, said = words.removeprefix("num "), _said(value)
    return said if words in said else f"{words} {said}"  # norm: rmsnorm says it alone


def _said(value: Any) -> str:
    if isinstance(value, dict):
        # The options of a module that is itself an option would be too much: its name says enough.
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
