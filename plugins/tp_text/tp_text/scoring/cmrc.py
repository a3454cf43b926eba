"""Exact match and F1 of answers in Chinese, as in the evaluation of CMRC 2018 (Cui et al., 2019)."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: The marks that do not count. Others, such as ``.`` and ``,``, do.
_MARKS = "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』"
_WITHOUT_MARKS = str.maketrans("", "", _MARKS)
#: A Chinese character, or a run of other characters.
_RUN = re.compile("[\u4e00-\u9fa5]|[^\u4e00-\u9fa5]+")

#: What stands between words of other languages: brackets, quotes and other marks; a comma that is not in a number; the
#: point at the end; the endings of contractions.
_APART = re.compile(r"""[;@#$%&?!()\[\]{}<>"«»‘„]|\.{2,}|,(?!\d)""")
_LAST_POINT = re.compile(r"(?<=[^.\s])\.(?=\s*$)")
_CONTRACTION = re.compile(r"(?<=[^'\s])('(?:s|m|d|ll|re|ve)?|n't)(?=\s|$)")


def segments(text: str) -> list[str]:
    """The Chinese characters and the words of other languages of a text, in lower case and without marks.

    The evaluation of CMRC 2018 takes the words of NLTK. This function has the same rules for marks, numbers and
    contractions, except for rare words (``cannot``, ``gonna``) and for points between sentences.
    """
    found: list[str] = []
    for run in _RUN.findall(_cleaned(text)):
        if "\u4e00" <= run[0] <= "\u9fa5":
            found.append(run)
            continue
        for pattern in (_APART, _LAST_POINT, _CONTRACTION):
            run = pattern.sub(r" \g<0> ", run)
        found += run.split()
    return found


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """1 if the prediction equals one of the answers in lower case and without marks, else 0.

    Args:
        answers: the right answers; empty if "no answer" is right, which is the empty prediction.
    """
    if not answers:
        return float(not prediction)
    return float(_cleaned(prediction) in map(_cleaned, answers))


def f1(prediction: str, answers: Sequence[str]) -> float:
    """The F1 of the longest run of segments that the prediction shares with an answer; the highest of all answers.

    Args:
        answers: as in :func:`exact_match`.
    """
    if not answers:
        return float(not prediction)
    found = segments(prediction)
    return max(_f1(found, segments(answer)) for answer in answers)


def _cleaned(text: str) -> str:
    return text.lower().strip().translate(_WITHOUT_MARKS)


def _f1(found: list[str], wanted: list[str]) -> float:
    shared = longest_common_run(found, wanted)
    return 2 * shared / (len(found) + len(wanted)) if shared else 0.0


def longest_common_run(one: Sequence[str], other: Sequence[str]) -> int:
    """The length of the longest run of consecutive items that both sequences have."""
    longest, before = 0, [0] * (len(other) + 1)
    for item in one:
        ends = [0]  # the length of the common run that ends at each item of the other sequence
        for place, each in enumerate(other):
            ends.append(before[place] + 1 if item == each else 0)
        longest, before = max(longest, *ends), ends
    return longest
