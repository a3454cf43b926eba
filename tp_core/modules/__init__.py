"""Modules of no modality on which others build, and layers with initial values of their own.

A name is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tp_core.lazy import lazy_import

if TYPE_CHECKING:
    from tp_core.modules.build import built as built
    from tp_core.modules.decoders.transformer_options import TransformerDecoderConfig as TransformerDecoderConfig
    from tp_core.modules.embeddings.position_options import LearnedPositionConfig as LearnedPositionConfig
    from tp_core.modules.encoders.transformer_options import TransformerConfig as TransformerConfig
    from tp_core.modules.feed_forwards.options import DenseConfig as DenseConfig
    from tp_core.modules.feed_forwards.options import GatedConfig as GatedConfig
    from tp_core.modules.layers.linear import Embedding as Embedding
    from tp_core.modules.layers.linear import KeylessBias as KeylessBias
    from tp_core.modules.layers.linear import Linear as Linear
    from tp_core.modules.layers.linear import draw as draw
    from tp_core.modules.mixers.attention_options import AttentionConfig as AttentionConfig
    from tp_core.modules.norms.options import LayerNormConfig as LayerNormConfig
    from tp_core.modules.norms.options import RMSNormConfig as RMSNormConfig
    from tp_core.modules.positions.rotary_options import RotaryConfig as RotaryConfig

_PUBLIC = {
    "built": "tp_core.modules.build",
    "TransformerDecoderConfig": "tp_core.modules.decoders.transformer_options",
    "LearnedPositionConfig": "tp_core.modules.embeddings.position_options",
    "TransformerConfig": "tp_core.modules.encoders.transformer_options",
    "DenseConfig": "tp_core.modules.feed_forwards.options",
    "GatedConfig": "tp_core.modules.feed_forwards.options",
    "Embedding": "tp_core.modules.layers.linear",
    "KeylessBias": "tp_core.modules.layers.linear",
    "Linear": "tp_core.modules.layers.linear",
    "draw": "tp_core.modules.layers.linear",
    "AttentionConfig": "tp_core.modules.mixers.attention_options",
    "LayerNormConfig": "tp_core.modules.norms.options",
    "RMSNormConfig": "tp_core.modules.norms.options",
    "RotaryConfig": "tp_core.modules.positions.rotary_options",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    return lazy_import(__name__, _PUBLIC, name)


def __dir__() -> list[str]:
    return __all__
