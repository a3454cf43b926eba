"""Shared parts of the converters of speech models."""

from tp_core.interop import parts
from tp_core.modules.feed_forwards.options import DenseConfig
from tp_core.modules.mixers.attention_options import AttentionConfig
from tp_core.options.base import ModuleConfig


def layer_parts(options: ModuleConfig) -> tuple[AttentionConfig, DenseConfig]:
    """The options of the attention and feed-forward layers of an encoder or decoder.

    Raises:
        MisfitError: it has another mixer or other feed-forward layers.
    """
    return parts.part(options, "mixer", AttentionConfig), parts.part(options, "feed_forward", DenseConfig)
