"""Exact match and F1 of answers in English, as in the evaluation of SQuAD (Rajpurkar et al., 2016; 2018)."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(text: str) -> str:
    """The text in lower case, without punctuation and articles, with single spaces."""
    return " ".join(_ARTICLE.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """1 if the prediction equals one of the answers after normalisation, else 0.

    Args:
        answers: the right answers; empty if "no answer" is right, which is the empty prediction.
    """
    return float(normalised(prediction) in _right(answers))


def f1(prediction: str, answers: Sequence[str]) -> float:
    """The F1 of the words that the prediction shares with an answer; the highest of all answers.

    If the prediction or the answer has no words after normalisation, the F1 is 1 if neither has any, else 0, as in the
    evaluation of SQuAD 2.

    Args:
        answers: as in :func:`exact_match`.
    """
    found = normalised(prediction).split()
    return max(_f1(found, answer.split()) for answer in _right(answers))


def _right(answers: Sequence[str]) -> list[str]:
    """The answers after normalisation. Those of which nothing remains count only if there are no others."""
    return [each for each in map(normalised, answers) if each] or [""]


def _f1(found: list[str], wanted: list[str]) -> float:
    if not found or not wanted:
        return float(found == wanted)
    shared = sum((Counter(found) & Counter(wanted)).values())
    return 2 * shared / (len(found) + len(wanted))
