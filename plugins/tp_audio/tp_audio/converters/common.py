"""Shared parts of the converters of speech models."""

from collections.abc import Mapping
from typing import Any

from tp_core.interop import parts
from tp_core.modules.feed_forwards.options import DenseConfig
from tp_core.modules.mixers.attention_options import AttentionConfig
from tp_core.options.base import ModuleConfig

#: Activation names in config.json → names in tp. If several names have the same meaning, the first is written.
ACTIVATIONS = {
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


def activation(config: Mapping[str, Any], key: str) -> str:
    """The name in tp of an activation in a config.json.

    Raises:
        TPError: tp has no such activation.
    """
    return str(parts.needs(config, key, ACTIVATIONS))


def activation_name(ours: str) -> str:
    """The name in config.json of one of tp's activations."""
    return next(theirs for theirs, known in ACTIVATIONS.items() if known == ours)


def layer_parts(options: ModuleConfig) -> tuple[AttentionConfig, DenseConfig]:
    """The options of the attention and feed-forward layers of an encoder or decoder.

    Raises:
        MisfitError: it has another mixer or other feed-forward layers.
    """
    return parts.part(options, "mixer", AttentionConfig), parts.part(options, "feed_forward", DenseConfig)
