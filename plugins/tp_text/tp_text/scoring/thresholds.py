"""The best threshold of "no answer", as in the evaluation of SQuAD 2 (Rajpurkar et al., 2018). Torch-free."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


def best_f1(scores: NDArray[Any], f1: NDArray[Any], answerable: NDArray[Any]) -> float:
    """The mean F1 with the best threshold; NaN without questions.

    Args:
        scores: (questions,) the score of "no answer" of each question. With a threshold, the questions with a higher
            score get no answer.
        f1: (questions,) the F1 of the answer that each question gets otherwise; that of an unanswerable question is 0,
            or 1 without an answer.
        answerable: (questions,) True for a question that has an answer.
    """
    return _best(scores, f1, answerable)[0]


def best_threshold(scores: NDArray[Any], f1: NDArray[Any], answerable: NDArray[Any]) -> float:
    """The least threshold with the best mean F1; the arguments are those of :func:`best_f1`."""
    return _best(scores, f1, answerable)[1]


def _best(scores: NDArray[Any], f1: NDArray[Any], answerable: NDArray[Any]) -> tuple[float, float]:
    import numpy as np  # checking a spec needs no arrays

    if not len(scores):
        return float("nan"), float("nan")
    answerable = answerable.astype(bool)
    order = np.argsort(scores, kind="stable")
    scores = scores[order]
    gains = np.where(answerable, f1, f1 - 1)[order]  # compared with no answers at all
    totals = np.sum(~answerable) + np.concatenate([[0.0], np.cumsum(gains)])
    # A threshold answers all questions of one score, or none of them.
    last = np.append(scores[1:] != scores[:-1], True)
    thresholds = np.concatenate([[np.nextafter(scores[0], -np.inf)], scores[last]])
    totals = totals[np.concatenate([[True], last])]
    best = int(totals.argmax())
    return float(totals[best] / len(scores)), float(thresholds[best])
