"""The number of tokens of a row that span corruption hides, as T5 counts it. Torch-free."""

from __future__ import annotations

from typing import NamedTuple


class SpanLengths(NamedTuple):
    """Numbers of tokens and spans to hide, the same for all rows of one length (Raffel et al., 2020, section 3.1.4).

    Attributes:
        density: part of the tokens to hide.
        mean: tokens per span.
    """

    density: float
    mean: float

    def hidden(self, length: int) -> tuple[int, int]:
        """Hidden tokens and spans of a row of ``length`` ≥ 2 tokens: one of each at least, and something is left."""
        tokens = min(max(round(length * self.density), 1), length - 1)
        return tokens, min(max(round(tokens / self.mean), 1), length - tokens)

    def source_length(self, length: int) -> int:
        """Tokens that the encoder reads: what is left, a sentinel per span, the end token."""
        tokens, spans = self.hidden(length)
        return length - tokens + spans + 1

    def target_length(self, length: int) -> int:
        """Tokens that the decoder writes: what is hidden, a sentinel per span, the end token."""
        tokens, spans = self.hidden(length)
        return tokens + spans + 1

    def longest_row(self, max_length: int, target_max_length: int | None) -> int:
        """The longest row with a source, and a target if bounded, that fit; 1 if none does."""
        length = 1
        while self.source_length(length + 1) <= max_length and (
            target_max_length is None or self.target_length(length + 1) <= target_max_length
        ):
            length += 1
        return length
