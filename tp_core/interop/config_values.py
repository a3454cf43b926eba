"""Checks of the values in a config.json: their types and sizes, before a model is built from them.

The file is untrusted. A number of layers of 10**9, for example, must be rejected before a table of weights is built.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tp_core.spec.checks.limits import faults
from tp_core.spec.hints.words import meaning

#: (type of the default, allowed types of the value, description of these types).
_KINDS: tuple[tuple[type, tuple[type, ...], str], ...] = (
    (bool, (bool,), "true or false"),
    (int, (int,), "an integer"),
    (float, (int, float), "a number"),
    (str, (str,), "a text"),
    (list, (list,), "a list"),
    (tuple, (list,), "a list"),
    (dict, (dict,), "an object"),
)

#: Keys whose value may also be a list, with one value for each dimension or token.
_SEVERAL = re.compile(r"((image|patch)_size|_token_id)$")

#: (ending of a key, the spec option whose limit applies to its value).
_LIKE = (
    (re.compile(r"(layers?|depths?)$"), "num_layers"),
    (re.compile(r"heads?$"), "num_heads"),
    (re.compile(r"vocab_size$"), "vocab_size"),
    (re.compile(r"(ffn_dim|intermediate_size|d_ff|n_inner|mlp_dim)$"), "feed_forward_size"),
    (re.compile(r"(_dim|_size|d_model|d_kv|n_embd|^dim)$"), "feed_forward_size"),
    (re.compile(r"positions?(_embeddings)?$"), "max_length"),
)


def misfits(defaults: Mapping[str, Any], given: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yield a message for each invalid value in a config.json.

    Args:
        defaults: transformers' defaults, also for objects inside the file.
        given: the file's content, with aliases of keys resolved.
        path: path of the object, with a dot at the end; empty for the whole file.
    """
    for key, value in given.items():
        default = defaults.get(key)
        if value is None:  # for many keys, transformers treats null as a missing value
            continue
        if isinstance(default, Mapping) and isinstance(value, Mapping):
            yield from misfits(default, value, f"{path}{key}.")
            continue
        several = isinstance(value, list) and _SEVERAL.search(key)
        expected = "" if several else _expected(default, value)
        if expected:
            yield f"'{path}{key}' is {_shown(value)}; expected {expected}"
        elif like := _like(key, default):
            yield from (f"'{path}{key}' {fault.message}" for fault in faults(like, value))


def _expected(default: Any, value: Any) -> str:
    """The expected type of a value in words; empty if the value has this type."""
    for kind, allowed, called in _KINDS:
        if isinstance(default, kind):
            flag = isinstance(value, bool) and bool not in allowed
            return "" if isinstance(value, allowed) and not flag else called
    return ""


def _like(key: str, default: Any) -> str:
    """The spec option whose limit applies to a key; empty if no limit applies."""
    ours = meaning(key) or next((option for pattern, option in _LIKE if pattern.search(key)), "")
    number = isinstance(default, (int, float)) and not isinstance(default, bool)
    return ours or (key if number else "")


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
