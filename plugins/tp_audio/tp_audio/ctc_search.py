"""Prefix beam search of CTC."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import NamedTuple

import torch
from torch import Tensor


class Prefix(NamedTuple):
    """Log probabilities of all paths so far that spell a prefix: of those that end with a blank, and of the others."""

    blank: float = -math.inf
    token: float = -math.inf

    def total(self) -> float:
        return added(self.blank, self.token)


def added(first: float, second: float) -> float:
    """The log of a sum of probabilities, from their logs."""
    high, low = max(first, second), min(first, second)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


def prefix_beam_search(scores: Tensor, beams: int, blank: int = 0) -> list[tuple[list[int], float]]:
    """The most probable texts, with their log probabilities summed over all paths that spell them, best first.

    Unlike the most probable token of each state, a text counts with all its alignments (Hannun et al., 2014). Of the
    prefixes of each length of time, ``beams`` go on; with as many as there are, the search is exact.

    Args:
        scores: (length, vocabulary) log probabilities.
        beams: prefixes that are followed.
        blank: the id of the blank.
    """
    # A state's least probable tokens begin no text that is kept; where all are asked for, all are followed.
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
                # A token that follows its like goes on with it; to be a second one it has to come behind a blank.
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
        logits: (batch, length, vocabulary).
        lengths: (batch,) number of real states, which stand first.
    """
    scores = torch.log_softmax(logits.float(), dim=-1).cpu()
    rows = zip(scores, lengths.tolist())
    return [prefix_beam_search(row[:length], beams, blank)[0][0] for row, length in rows]
