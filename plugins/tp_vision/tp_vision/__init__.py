"""Vision modules of the tp toolkit, and the interface of visual tokenizers.

Names are imported at their first use, so that reading options does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tp_core.lazy import lazy_import

if TYPE_CHECKING:
    from tp_vision.visual_tokenizers.base import VisualTokenizer as VisualTokenizer
    from tp_vision.visual_tokenizers.options import VisualTokenizerConfig as VisualTokenizerConfig

_PUBLIC = {
    "VisualTokenizer": "tp_vision.visual_tokenizers.base",
    "VisualTokenizerConfig": "tp_vision.visual_tokenizers.options",
}

__all__ = ["VisualTokenizer", "VisualTokenizerConfig"]


def __getattr__(name: str) -> Any:
    return lazy_import(__name__, _PUBLIC, name)
