"""The encoder that does nothing."""

from __future__ import annotations

from tp_core.interfaces import Cache, Encoder, Sequence


class IdentityEncoder(Encoder):
    """Gives back the embeddings."""

    def forward(self, sequence: Sequence, cache: Cache | None = None) -> Sequence:
        """The sequence as it is."""
        return sequence
