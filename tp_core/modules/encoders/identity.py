"""The encoder without layers."""

from __future__ import annotations

from tp_core.interfaces import Encoder, KVCache, Sequence
from tp_core.modules.encoders.identity_options import IdentityConfig
from tp_core.options.context import BuildContext


class IdentityEncoder(Encoder):
    """Returns the embeddings unchanged."""

    def __init__(self, config: IdentityConfig, context: BuildContext) -> None:
        super().__init__()

    def forward(self, sequence: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        """The unchanged sequence."""
        return sequence
