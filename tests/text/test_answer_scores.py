"""Exact match and F1 of answers, as in the evaluations of SQuAD and CMRC 2018, and the best threshold."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from tp_text.scoring import cmrc, squad
from tp_text.scoring.thresholds import best_f1, best_threshold

# -- SQuAD -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prediction", "answers", "exact", "f1"),
    [
        ("the Denver Broncos!", ["Denver  Broncos"], 1, 1),
        ("Denver", ["Denver Broncos", "denver broncos of Colorado"], 0, 2 / 3),
        ("a cat and a cat", ["cat cat dog"], 0, 2 * (2 / 3) ** 2 / (4 / 3)),
        ("Santa Clara", ["California"], 0, 0),
        ("U.S.", ["us"], 1, 1),
        ("another", ["other"], 0, 0),  # an article is a word of its own
        ("1,000", ["1000"], 1, 1),
        ("", [], 1, 1),
        ("the", [], 1, 1),
        ("a cat", [], 0, 0),
        ("", ["cat"], 0, 0),
        ("the", ["cat", "a"], 0, 0),
        ("the", ["a"], 1, 1),
    ],
)
def test_answers_in_english_are_compared_by_words(prediction: str, answers: list[str], exact: int, f1: float) -> None:
    assert squad.exact_match(prediction, answers) == exact
    assert squad.f1(prediction, answers) == pytest.approx(f1)


def plain_words(text: str) -> list[str]:
    """Words without SQuAD's marks and articles, taken character by character."""
    kept = [
        character for character in text.lower() if character.isalnum() or character.isspace() or ord(character) > 127
    ]
    return [word for word in re.split(r"\s+", "".join(kept)) if word and word not in ("a", "an", "the")]


def plain_f1(one: list[str], other: list[str]) -> float:
    left, shared = list(other), 0
    for word in one:
        if word in left:
            left.remove(word)
            shared += 1
    if not shared:
        return 0.0
    precision, recall = shared / len(one), shared / len(other)
    return 2 * precision * recall / (precision + recall)


def test_the_scores_of_random_answers_are_those_of_a_plain_formula() -> None:
    rng = np.random.default_rng(0)
    words = ["the", "a", "Cat", "cat,", "dog", "Dog!", "sat", "1990", "—", "it's", "éa"]
    for _ in range(300):
        prediction, *answers = (
            " ".join(rng.choice(words, rng.integers(1, 5))) + " x" for _ in range(rng.integers(2, 5))
        )
        found, wanted = plain_words(prediction), [plain_words(answer) for answer in answers]
        assert squad.exact_match(prediction, answers) == float(found in wanted)
        assert squad.f1(prediction, answers) == pytest.approx(max(plain_f1(found, each) for each in wanted))


# -- CMRC 2018 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("光荣和ω-force", ["光", "荣", "和", "ωforce"]),
        ("1963年，教区；主教。", ["1963", "年", "教", "区", "主", "教"]),
        ("USS Port Royal CG-73号", ["uss", "port", "royal", "cg73", "号"]),
        ("《三国志》（游戏）", ["三", "国", "志", "游", "戏"]),
        ("3.5米, 1,000人", ["3.5", "米", ",", "1,000", "人"]),
        ("it's (the) end...不 at 3 p.m.", ["it", "'s", "(", "the", ")", "end", "...", "不", "at", "3", "p.m", "."]),
        ("don't", ["do", "n't"]),
        ("", []),
        ("，。", []),
    ],
)
def test_segments_are_chinese_characters_and_words(text: str, expected: list[str]) -> None:
    assert cmrc.segments(text) == expected


@pytest.mark.parametrize(
    ("prediction", "answers", "exact", "f1"),
    [
        ("光荣和ω-force", ["光荣和 ω-Force"], 0, 1),  # white space counts in the match only
        ("光荣，和ω—force", ["光荣和ω—FORCE"], 1, 1),
        # the longest common run is 河内总教区 of 7 and 5 characters
        ("教河内总教区宗", ["河内总教区"], 0, 2 * 5 / (7 + 5)),
        # runs of 2 and 1 characters are shared, of which one counts: the sum would be 3
        ("甲乙丙丁", ["甲乙戊丁"], 0, 2 * 2 / 8),
        ("1963年", ["1963", "于1963年"], 0, 2 * 2 / 5),
        ("甲", ["乙", "丙"], 0, 0),
        ("，", ["。"], 1, 0),  # nothing is left, so that no run is shared
        ("", [], 1, 1),
        ("甲", [], 0, 0),
        ("", ["甲"], 0, 0),
    ],
)
def test_answers_in_chinese_are_compared_by_their_longest_run(
    prediction: str, answers: list[str], exact: int, f1: float
) -> None:
    assert cmrc.exact_match(prediction, answers) == exact
    assert cmrc.f1(prediction, answers) == pytest.approx(f1)


def test_the_longest_common_run_is_that_of_all_runs() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        one, other = (list(map(int, rng.integers(0, 3, rng.integers(0, 9)))) for _ in range(2))
        runs = [one[i:j] for i in range(len(one)) for j in range(i, len(one) + 1)]
        shared = [len(run) for run in runs if any(other[k : k + len(run)] == run for k in range(len(other) + 1))]
        assert cmrc.longest_common_run(one, other) == max(shared, default=0)


# -- thresholds --------------------------------------------------------------------------------------------------


def mean_f1(threshold: float, scores: Any, f1: Any, answerable: Any) -> float:
    """The mean F1 if the questions above a threshold get no answer."""
    empty = scores > threshold
    return float(np.where(empty, ~answerable, f1).mean())


def test_the_best_threshold_has_the_best_f1_of_all_thresholds() -> None:
    rng = np.random.default_rng(2)
    for _ in range(100):
        count = rng.integers(1, 12)
        scores, answerable = rng.integers(-3, 4, count).astype(float), rng.random(count) < 0.6
        f1 = np.where(answerable, rng.random(count).round(1), 0.0)
        all_of_them = [mean_f1(each, scores, f1, answerable) for each in np.arange(-4, 5, 0.5)]
        best, threshold = best_f1(scores, f1, answerable), best_threshold(scores, f1, answerable)
        assert best == pytest.approx(max(all_of_them))
        assert mean_f1(threshold, scores, f1, answerable) == pytest.approx(best)


def test_the_best_threshold_may_leave_all_questions_or_none_without_an_answer() -> None:
    scores, none = np.array([1.0, 2.0]), np.array([False, False])
    assert (best_f1(scores, np.zeros(2), none), best_threshold(scores, np.zeros(2), none) < 1) == (1.0, True)
    assert (best_f1(scores, np.ones(2), ~none), best_threshold(scores, np.ones(2), ~none)) == (1.0, 2.0)
    assert np.isnan(best_f1(scores[:0], scores[:0], none[:0]))
    # a question that has no candidate has no answer with any threshold
    assert best_f1(np.array([np.inf]), np.ones(1), none[:1]) == 1.0
