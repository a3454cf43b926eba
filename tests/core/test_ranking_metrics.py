"""Metrics of ranking: against scikit-learn, against plain counting, and against the mean over all orders of ties."""

from __future__ import annotations

import itertools
import math
import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as sklearn

from tp_core.metrics.ranking import questions, questions_without_answer, ranking_metric

NAMES = ["mrr", "map", "ndcg", "mrr_at_2", "precision_at_1", "precision_at_3", "recall_at_2", "ndcg_at_2", "ndcg_at_4"]


def value(name: str, groups: Any, scores: Any, relevance: Any) -> float:
    facts = ranking_metric(name)
    assert facts is not None
    assert facts.better == "high"
    return facts.compute(np.asarray(groups), np.asarray(scores, np.float64), np.asarray(relevance))


def counted(name: str, ordered: list[float]) -> float:
    """The metric of one question whose candidates have these relevances, in their order; counted in plain steps."""
    kind, _, cutoff = name.partition("_at_")
    shown = ordered[: int(cutoff)] if cutoff else ordered
    ranks = [rank for rank, gain in enumerate(shown, 1) if gain > 0]
    if kind == "mrr":
        return 1 / ranks[0] if ranks else 0.0
    if kind == "map":
        return sum(number / rank for number, rank in enumerate(ranks, 1)) / len(ranks)
    if kind == "precision":
        return len(ranks) / int(cutoff)
    if kind == "recall":
        return len(ranks) / sum(gain > 0 for gain in ordered)

    def gained(gains: list[float]) -> float:
        return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))

    return gained(shown) / gained(sorted(ordered, reverse=True)[: len(shown)])


def over_all_orders(name: str, scores: NDArray[Any], relevance: NDArray[Any]) -> float:
    """The mean of the metric over all orders of one question's candidates that agree with their scores."""
    found = [
        counted(name, [float(relevance[n]) for n in order])
        for order in itertools.permutations(range(len(scores)))
        if all(scores[one] >= scores[other] for one, other in itertools.pairwise(order))
    ]
    return float(np.mean(found))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("levels", [2, 3, 100])
def test_ties_count_as_the_mean_over_all_their_orders(name: str, levels: int) -> None:
    rng = np.random.default_rng(levels)
    every = []
    for _ in range(12):
        size = int(rng.integers(1, 7))
        scores, relevance = rng.integers(0, levels, size), rng.integers(0, 3, size)
        relevance[rng.integers(size)] = 1
        expected = over_all_orders(name, scores, relevance)
        assert value(name, np.zeros(size), scores, relevance) == pytest.approx(expected, abs=1e-12)
        every.append((scores, relevance, expected))
    groups = np.repeat(np.arange(12), [len(scores) for scores, _, _ in every])
    scores, relevance = (np.concatenate([each[part] for each in every]) for part in (0, 1))
    mixed = rng.permutation(len(groups))
    mean = float(np.mean([expected for _, _, expected in every]))
    assert value(name, groups[mixed], scores[mixed], relevance[mixed]) == pytest.approx(mean, abs=1e-12)


def test_values_without_ties_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        size = int(rng.integers(2, 30))
        scores, relevance = rng.permutation(size) / size, rng.integers(0, 2, size)
        relevance[0] = 1
        groups = np.zeros(size)
        assert value("map", groups, scores, relevance) == pytest.approx(
            sklearn.average_precision_score(relevance, scores), abs=1e-12
        )
        for cutoff in (None, 3):
            name = "ndcg" if cutoff is None else f"ndcg_at_{cutoff}"
            graded = rng.integers(0, 4, size)
            graded[0] = 2
            expected = sklearn.ndcg_score(graded[None], scores[None], k=cutoff)
            assert value(name, groups, scores, graded) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("cutoff", [None, 2, 5])
def test_gain_of_ties_is_that_of_scikit_learn(cutoff: int | None) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        scores, graded = rng.integers(0, 4, 12), rng.integers(0, 4, 12)
        graded[0] = 3
        expected = sklearn.ndcg_score(graded[None], scores[None].astype(float), k=cutoff)
        name = "ndcg" if cutoff is None else f"ndcg_at_{cutoff}"
        assert value(name, np.zeros(12), scores, graded) == pytest.approx(expected, abs=1e-12)


def test_questions_without_a_relevant_candidate_are_left_out_and_counted() -> None:
    groups, scores, relevance = (
        np.array([7, 7, -3, -3, 5]),
        np.array([0.1, 0.9, 0.3, 0.2, 1.0]),
        np.array([1, 0, 0, 0, 1]),
    )
    assert value("mrr", groups, scores, relevance) == pytest.approx((1 / 2 + 1) / 2)
    assert (questions(groups, scores, relevance), questions_without_answer(groups, scores, relevance)) == (2, 1)
    assert math.isnan(value("mrr", groups[2:4], scores[2:4], relevance[2:4]))
    assert math.isnan(value("map", [], [], []))


def test_a_constant_score_has_the_value_of_chance() -> None:
    assert value("precision_at_1", [0] * 4, [0.5] * 4, [1, 0, 0, 0]) == 0.25
    assert value("mrr", [0] * 4, [0.5] * 4, [0, 0, 0, 1]) == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)


def test_a_large_question_is_exact() -> None:
    size, right = 5000, 37
    relevance = (np.arange(size) < right).astype(int)
    ranks = np.arange(1, size + 1)
    # That the first of the relevant candidates has rank j: the ones before it are drawn from those not relevant.
    logs = [math.lgamma(n + 1) for n in range(size + 1)]
    chance = [
        math.exp(
            logs[size - j]
            - logs[right - 1]
            - logs[size - j - right + 1]
            - logs[size]
            + logs[right]
            + logs[size - right]
        )
        for j in range(1, size - right + 2)
    ]
    expected = sum(share / rank for share, rank in zip(chance, ranks))
    assert value("mrr", np.zeros(size), np.zeros(size), relevance) == pytest.approx(expected, rel=1e-9)


def test_scores_that_are_no_numbers_make_the_metric_undefined() -> None:
    assert math.isnan(value("mrr", [0, 0], [math.nan, 0.3], [1, 0]))
    assert value("mrr", [0, 0], [math.inf, 0.3], [1, 0]) == 1


@pytest.mark.parametrize("name", ["mrr_at_0", "map_at_3", "precision", "recall", "ndcg_at_", "hits", "mrr_at_1.5", ""])
def test_other_names_are_no_metrics(name: str) -> None:
    assert ranking_metric(name) is None


def test_the_facts_can_be_sent_to_other_processes() -> None:
    facts = pickle.loads(pickle.dumps(ranking_metric("recall_at_2")))
    assert facts.compute(np.zeros(3), np.array([3.0, 2.0, 1.0]), np.array([0, 1, 1])) == 0.5
