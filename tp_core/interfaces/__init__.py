"""The interfaces of modules, and the values that pass between them.

``embedding → encoder → (target embedding → decoder) → target``. Embeddings make a :class:`Sequence`, encoders and
decoders map it, targets read the resulting :class:`Features`. Processors and tokenizers run before the model and
make its :class:`Batch`. Each name is imported at its first use, so that torch-free code does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tp_core.lazy import lazy_import

if TYPE_CHECKING:
    from tp_core.interfaces.batch import IGNORE as IGNORE
    from tp_core.interfaces.batch import ONLY as ONLY
    from tp_core.interfaces.batch import Batch as Batch
    from tp_core.interfaces.batch import Inputs as Inputs
    from tp_core.interfaces.components import Decoder as Decoder
    from tp_core.interfaces.components import Embedding as Embedding
    from tp_core.interfaces.components import Encoder as Encoder
    from tp_core.interfaces.components import FusionEncoder as FusionEncoder
    from tp_core.interfaces.components import Module as Module
    from tp_core.interfaces.framing import Frame as Frame
    from tp_core.interfaces.kv_cache import CacheEntry as CacheEntry
    from tp_core.interfaces.kv_cache import KVCache as KVCache
    from tp_core.interfaces.layer_parts import FeedForward as FeedForward
    from tp_core.interfaces.layer_parts import Mixer as Mixer
    from tp_core.interfaces.layer_parts import Positions as Positions
    from tp_core.interfaces.layer_parts import PositionTable as PositionTable
    from tp_core.interfaces.layer_parts import PositionValues as PositionValues
    from tp_core.interfaces.layer_parts import StackPass as StackPass
    from tp_core.interfaces.processor import GenerationTokens as GenerationTokens
    from tp_core.interfaces.processor import Processor as Processor
    from tp_core.interfaces.processor import PromptRoom as PromptRoom
    from tp_core.interfaces.processor import Rows as Rows
    from tp_core.interfaces.processor import Sample as Sample
    from tp_core.interfaces.record import Record as Record
    from tp_core.interfaces.record import Report as Report
    from tp_core.interfaces.sequence import Features as Features
    from tp_core.interfaces.sequence import Sequence as Sequence
    from tp_core.interfaces.share import Share as Share
    from tp_core.interfaces.sides import Item as Item
    from tp_core.interfaces.sides import Sides as Sides
    from tp_core.interfaces.target import Joined as Joined
    from tp_core.interfaces.target import MetricState as MetricState
    from tp_core.interfaces.target import Target as Target
    from tp_core.interfaces.target import TargetOutput as TargetOutput
    from tp_core.interfaces.tokenizer import EncodedText as EncodedText
    from tp_core.interfaces.tokenizer import Tokenizer as Tokenizer
    from tp_core.interfaces.tokenizer import TokenizerFacts as TokenizerFacts

_PUBLIC = {
    "IGNORE": "tp_core.interfaces.batch",
    "ONLY": "tp_core.interfaces.batch",
    "Batch": "tp_core.interfaces.batch",
    "Inputs": "tp_core.interfaces.batch",
    "KVCache": "tp_core.interfaces.kv_cache",
    "CacheEntry": "tp_core.interfaces.kv_cache",
    "Decoder": "tp_core.interfaces.components",
    "Embedding": "tp_core.interfaces.components",
    "Encoder": "tp_core.interfaces.components",
    "FusionEncoder": "tp_core.interfaces.components",
    "Module": "tp_core.interfaces.components",
    "Features": "tp_core.interfaces.sequence",
    "Sequence": "tp_core.interfaces.sequence",
    "GenerationTokens": "tp_core.interfaces.processor",
    "Processor": "tp_core.interfaces.processor",
    "PromptRoom": "tp_core.interfaces.processor",
    "Rows": "tp_core.interfaces.processor",
    "Sample": "tp_core.interfaces.processor",
    "Joined": "tp_core.interfaces.target",
    "MetricState": "tp_core.interfaces.target",
    "Target": "tp_core.interfaces.target",
    "TargetOutput": "tp_core.interfaces.target",
    "Record": "tp_core.interfaces.record",
    "Report": "tp_core.interfaces.record",
    "Share": "tp_core.interfaces.share",
    "Item": "tp_core.interfaces.sides",
    "Sides": "tp_core.interfaces.sides",
    "Tokenizer": "tp_core.interfaces.tokenizer",
    "TokenizerFacts": "tp_core.interfaces.tokenizer",
    "EncodedText": "tp_core.interfaces.tokenizer",
    "Frame": "tp_core.interfaces.framing",
    "FeedForward": "tp_core.interfaces.layer_parts",
    "Mixer": "tp_core.interfaces.layer_parts",
    "Positions": "tp_core.interfaces.layer_parts",
    "PositionTable": "tp_core.interfaces.layer_parts",
    "PositionValues": "tp_core.interfaces.layer_parts",
    "StackPass": "tp_core.interfaces.layer_parts",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    return lazy_import(__name__, _PUBLIC, name)


def __dir__() -> list[str]:
    return __all__
