"""The parts that the converters of speech models share."""

from collections.abc import Mapping
from typing import Any

from tp_core.interop import parts
from tp_core.modules.feed_forwards.options import DenseConfig
from tp_core.modules.mixers.attention_options import AttentionConfig
from tp_core.options.base import ModuleConfig

#: Names of activations in config.json → ours. The first of those that mean the same is written.
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
    """Our name of an activation in a config.json.

    Raises:
        TPError: we have no such activation.
    """
    return str(parts.needs(config, key, ACTIVATIONS))


def activation_name(ours: str) -> str:
    """The name of one of our activations in a config.json."""
    return next(theirs for theirs, known in ACTIVATIONS.items() if known == ours)


def layer_parts(options: ModuleConfig) -> tuple[AttentionConfig, DenseConfig]:
    """The options of the attention and of the feed-forward layers of an encoder or decoder.

    Raises:
        MisfitError: they are others.
    """
    return parts.part(options, "mixer", AttentionConfig), parts.part(options, "feed_forward", DenseConfig)
