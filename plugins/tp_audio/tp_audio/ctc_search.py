"""Prefix beam search for CTC."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import NamedTuple

import torch
from torch import Tensor


class Prefix(NamedTuple):
    """Log probabilities of all paths so far that spell a prefix.

    Attributes:
        blank: log probability of the paths that end with a blank.
        token: log probability of the paths that end with a token.
    """

    blank: float = -math.inf
    token: float = -math.inf

    def total(self) -> float:
        return added(self.blank, self.token)


def added(first: float, second: float) -> float:
    """The log of the sum of two probabilities, given their logs."""
    high, low = max(first, second), min(first, second)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


def prefix_beam_search(scores: Tensor, beams: int, blank: int = 0) -> list[tuple[list[int], float]]:
    """The most probable texts with their log probabilities, best first (Hannun et al., 2014).

    The probability of a text is the sum over all its alignments. Greedy decoding only follows the single best path.
    At each state, the search keeps the best ``beams`` prefixes. If it keeps all prefixes, it is exact.

    Args:
        scores: (length, vocabulary) log probabilities.
        beams: number of prefixes to keep.
        blank: id of the blank.
    """
    # Only the most probable tokens of a state are followed, at least twice as many as beams.
    best, tokens = scores.double().topk(min(scores.shape[1], max(2 * beams, 8)), dim=-1)
    blanks = scores[:, blank].double().tolist()
    found: dict[tuple[int, ...], Prefix] = {(): Prefix(blank=0.0)}
    for row, ids, silent in zip(best.tolist(), tokens.tolist(), blanks):
        after: defaultdict[tuple[int, ...], Prefix] = defaultdict(Prefix)
        for text, paths in found.items():
            whole, last = paths.total(), text[-1] if text else blank
            own = after[text]
            after[text] = own._replace(blank=added(own.blank, whole + silent))
            for token, score in zip(ids, row):
                if token == blank:
                    continue
                # A repeated token extends the last one. Two equal tokens in a text need a blank between them.
                if token == last:
                    own = after[text]
                    after[text] = own._replace(token=added(own.token, paths.token + score))
                longer = (*text, token)
                before = paths.blank if token == last else whole
                if before == -math.inf:
                    continue
                own = after[longer]
                after[longer] = own._replace(token=added(own.token, before + score))
        ranked = sorted(after.items(), key=lambda item: item[1].total(), reverse=True)
        found = dict(ranked[:beams])
    return [(list(text), paths.total()) for text, paths in found.items()]


def search(logits: Tensor, lengths: Tensor, beams: int, blank: int = 0) -> list[list[int]]:
    """The tokens of each sample's most probable text.

    Args:
        logits: (batch, length, vocabulary), with padding on the right.
        lengths: (batch,) number of real states.
        beams: number of prefixes to keep.
        blank: id of the blank.
    """
    scores = torch.log_softmax(logits.float(), dim=-1).cpu()
    rows = zip(scores, lengths.tolist())
    return [prefix_beam_search(row[:length], beams, blank)[0][0] for row, length in rows]
