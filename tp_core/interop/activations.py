"""Names of activations in config.json, and ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tp_core.interop import parts

#: Names in config.json → ours. Of those that mean the same, the first is written.
_NAMES = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_python": "gelu",
    "quick_gelu": "quick_gelu",
    "relu": "relu",
    "relu2": "relu_squared",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
    "linear": "linear",
}


def activation(config: Mapping[str, Any], key: str = "hidden_act") -> str:
    """Our name of an activation in a config.json.

    Raises:
        TPError: we have no such activation.
    """
    return str(parts.needs(config, key, _NAMES))


def activation_name(ours: str) -> str:
    """The name of one of our activations in a config.json."""
    return next(theirs for theirs, known in _NAMES.items() if known == ours)
