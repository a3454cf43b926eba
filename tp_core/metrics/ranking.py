"""Metrics of ranking: the candidates of each question are ordered by their scores. Torch-free.

A metric is the mean over the questions that have a relevant candidate; other questions are left out and counted.
Candidates with equal scores have no order. The metric of a question is then the mean over all orders of these
candidates, in closed form (McSherry & Najork, 2008), so that it does not depend on the order of the data.

Every function gets ``groups`` (rows,), the question of each row; ``scores`` (rows,); and ``relevance`` (rows,), where a
candidate above 0 is relevant. It returns NaN if no question counts or a score is NaN.
"""

import functools
import math
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from tp_core.metrics.facts import MetricFacts

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Names of metrics without and with a cutoff.
_NAME = re.compile(r"(mrr|map|ndcg)|(mrr|ndcg|precision|recall)_at_([1-9][0-9]{0,5})")
#: The forms of the names, for messages.
RANKING_NAMES = ("mrr", "map", "ndcg", "mrr_at_K", "precision_at_K", "recall_at_K", "ndcg_at_K")


class Ties(NamedTuple):
    """Candidates of a question that have the same score.

    Attributes:
        before: number of candidates with a higher score.
        size: number of the candidates.
        relevant: number of relevant ones among them.
        gain: sum of their relevance.
    """

    before: int
    size: int
    relevant: int
    gain: float


class Ranked(NamedTuple):
    """The candidates of a question, in the order of their scores.

    Attributes:
        ties: the candidates, in groups of equal scores.
        relevant: number of relevant ones.
        gains: the relevance of all candidates, the highest first.
    """

    ties: "list[Ties]"
    relevant: int
    gains: "NDArray[Any]"


def _ranked(groups: "NDArray[Any]", scores: "NDArray[Any]", relevance: "NDArray[Any]") -> Iterator[Ranked]:
    """The questions that have a relevant candidate."""
    import numpy as np

    order = np.lexsort((-scores, groups))
    groups, scores, relevance = groups[order], scores[order], relevance[order].astype(np.float64)
    for own in np.split(np.arange(len(groups)), np.flatnonzero(groups[1:] != groups[:-1]) + 1):
        gains = np.maximum(relevance[own], 0.0)
        if not (gains > 0).any():
            continue
        ties, before = [], 0
        for part in np.split(gains, np.flatnonzero(scores[own][1:] != scores[own][:-1]) + 1):
            ties.append(Ties(before, len(part), int((part > 0).sum()), float(part.sum())))
            before += len(part)
        yield Ranked(ties, int((gains > 0).sum()), np.sort(gains)[::-1])


def _mean(of_question: Callable[..., float]) -> Callable[..., float]:
    """The mean of the metric of a question over all questions that count."""

    @functools.wraps(of_question)
    def computed(
        groups: "NDArray[Any]", scores: "NDArray[Any]", relevance: "NDArray[Any]", cutoff: int | None = None
    ) -> float:
        import numpy as np

        if np.isnan(scores).any():
            return math.nan
        found = [
            of_question(each, len(groups) if cutoff is None else cutoff) for each in _ranked(groups, scores, relevance)
        ]
        return math.fsum(found) / len(found) if found else math.nan

    return computed


@_mean
def reciprocal_rank(question: Ranked, cutoff: int) -> float:
    """One over the rank of the first relevant candidate; 0 if it is below the cutoff."""
    ties = next(each for each in question.ties if each.relevant)
    total, chance = 0.0, ties.relevant / ties.size  # that the first relevant one of the ties has this place among them
    for place in range(1, ties.size - ties.relevant + 2):
        if ties.before + place > cutoff:
            break
        total += chance / (ties.before + place)
        chance *= (ties.size - place - ties.relevant + 1) / max(1, ties.size - place)
    return total


@_mean
def average_precision(question: Ranked, cutoff: int) -> float:
    """The mean, over the relevant candidates, of the precision at their ranks."""
    total, above = 0.0, 0  # relevant candidates with a higher score
    for ties in question.ties:
        others = (ties.relevant - 1) / (ties.size - 1) if ties.size > 1 else 0.0  # chance that another tie is relevant
        for place in range(ties.size if ties.relevant else 0):
            total += ties.relevant / ties.size * (above + 1 + place * others) / (ties.before + place + 1)
        above += ties.relevant
    return total / question.relevant


def _found(question: Ranked, cutoff: int) -> float:
    """The number of relevant candidates down to the cutoff."""
    return sum(each.relevant * min(1.0, max(0, cutoff - each.before) / each.size) for each in question.ties)


@_mean
def precision(question: Ranked, cutoff: int) -> float:
    """The share of relevant candidates among those down to the cutoff; a question with fewer candidates has gaps."""
    return _found(question, cutoff) / cutoff


@_mean
def recall(question: Ranked, cutoff: int) -> float:
    """The share of the relevant candidates that are ranked down to the cutoff."""
    return _found(question, cutoff) / question.relevant


@_mean
def ndcg(question: Ranked, cutoff: int) -> float:
    """Discounted cumulative gain, as a share of that of the best order (Järvelin & Kekäläinen, 2002).

    The gain of a candidate is its relevance, the discount at a rank is one over the binary logarithm of the rank + 1.
    """
    import numpy as np

    ranks = np.arange(1, len(question.gains) + 1)
    discounts = np.where(ranks <= cutoff, 1 / np.log2(ranks + 1), 0.0)
    found = sum(each.gain * discounts[each.before : each.before + each.size].mean() for each in question.ties)
    return float(found / (question.gains * discounts).sum())


def questions(groups: "NDArray[Any]", scores: "NDArray[Any]", relevance: "NDArray[Any]") -> float:
    """The number of questions that have a relevant candidate."""
    import numpy as np

    return float(len(np.unique(groups[relevance > 0])))


def questions_without_answer(groups: "NDArray[Any]", scores: "NDArray[Any]", relevance: "NDArray[Any]") -> float:
    """The number of questions that have no relevant candidate, and are left out."""
    import numpy as np

    return float(len(np.unique(groups))) - questions(groups, scores, relevance)


_COMPUTED = {"mrr": reciprocal_rank, "map": average_precision, "precision": precision, "recall": recall, "ndcg": ndcg}


def ranking_metric(name: str) -> MetricFacts | None:
    """The metric of a name such as ``mrr`` or ``recall_at_10``; None if there is no such metric."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    if match[1] is not None:
        return MetricFacts("high", _COMPUTED[match[1]])
    return MetricFacts("high", functools.partial(_COMPUTED[match[2]], cutoff=int(match[3])))
