"""Number of tokens that span corruption hides in a row, computed as in T5. Torch-free."""

from __future__ import annotations

from typing import NamedTuple


class SpanLengths(NamedTuple):
    """Numbers of tokens and spans to hide; they depend on the row length only (Raffel et al., 2020, section 3.1.4).

    Attributes:
        density: share of tokens to hide.
        mean: mean number of tokens per span.
    """

    density: float
    mean: float

    def hidden(self, length: int) -> tuple[int, int]:
        """Numbers of hidden tokens and spans in a row of ``length`` ≥ 2 tokens.

        Both are at least 1, and at least one token stays visible.
        """
        tokens = min(max(round(length * self.density), 1), length - 1)
        return tokens, min(max(round(tokens / self.mean), 1), length - tokens)

    def source_length(self, length: int) -> int:
        """Length of the encoder input: visible tokens, a sentinel per span, the end token."""
        tokens, spans = self.hidden(length)
        return length - tokens + spans + 1

    def target_length(self, length: int) -> int:
        """Length of the decoder output: hidden tokens, a sentinel per span, the end token."""
        tokens, spans = self.hidden(length)
        return tokens + spans + 1

    def longest_row(self, max_length: int, target_max_length: int | None) -> int:
        """Maximum row length whose source, and target if limited, fit; 1 if none does."""
        length = 1
        while self.source_length(length + 1) <= max_length and (
            target_max_length is None or self.target_length(length + 1) <= target_max_length
        ):
            length += 1
        return length
