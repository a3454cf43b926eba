"""Values of a config.json against what transformers has for them: kinds and sizes, before anything is made of them.

A stranger's file may say anything. A number of layers of 10**9 is found here, not by making a table of their weights.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tp_core.spec.checks.limits import faults
from tp_core.spec.hints.words import meaning

#: Kinds of default values → what a value may be instead, and what to call that.
_KINDS: tuple[tuple[type, tuple[type, ...], str], ...] = (
    (bool, (bool,), "true or false"),
    (int, (int,), "an integer"),
    (float, (int, float), "a number"),
    (str, (str,), "a text"),
    (list, (list,), "a list"),
    (tuple, (list,), "a list"),
    (dict, (dict,), "an object"),
)

#: Keys whose value may be a list of what it is usually one of.
_SEVERAL = re.compile(r"((image|patch)_size|_token_id)$")

#: Endings of keys → the option of ours whose limit holds for them.
_LIKE = (
    (re.compile(r"(layers?|depths?)$"), "num_layers"),
    (re.compile(r"heads?$"), "num_heads"),
    (re.compile(r"vocab_size$"), "vocab_size"),
    (re.compile(r"(ffn_dim|intermediate_size|d_ff|n_inner|mlp_dim)$"), "feed_forward_size"),
    (re.compile(r"(_dim|_size|d_model|d_kv|n_embd|^dim)$"), "feed_forward_size"),
    (re.compile(r"positions?(_embeddings)?$"), "max_length"),
)


def misfits(defaults: Mapping[str, Any], given: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """The faults in the values of a config.json, a sentence for each.

    Args:
        defaults: what transformers has for keys that are left out; objects inside it, too.
        given: the file's content, with the usual spelling of its keys.
    """
    for key, value in given.items():
        default = defaults.get(key)
        if value is None:  # which transformers takes for many a value that is not there
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
    """The expected kind of a value; empty where the value is of that kind."""
    for kind, allowed, called in _KINDS:
        if isinstance(default, kind):
            flag = isinstance(value, bool) and bool not in allowed
            return "" if isinstance(value, allowed) and not flag else called
    return ""


def _like(key: str, default: Any) -> str:
    """The option of ours whose limit holds for a key; empty for a key whose value nothing is made of."""
    ours = meaning(key) or next((option for pattern, option in _LIKE if pattern.search(key)), "")
    number = isinstance(default, (int, float)) and not isinstance(default, bool)
    return ours or (key if number else "")


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
