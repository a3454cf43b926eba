"""The parts that the converters of speech models share."""

from tp_core.interop import parts
from tp_core.modules.feed_forwards.options import DenseConfig
from tp_core.modules.mixers.attention_options import AttentionConfig
from tp_core.options.base import ModuleConfig


def layer_parts(options: ModuleConfig) -> tuple[AttentionConfig, DenseConfig]:
    """The options of the attention and of the feed-forward layers of an encoder or decoder.

    Raises:
        MisfitError: they are others.
    """
    return parts.part(options, "mixer", AttentionConfig), parts.part(options, "feed_forward", DenseConfig)
