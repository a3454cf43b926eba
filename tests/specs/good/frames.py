"""Research code beside a spec."""

from __future__ import annotations

from tp_core import EmbeddingConfig


class FramesConfig(EmbeddingConfig):
    """An embedding without words; it is never built here."""
