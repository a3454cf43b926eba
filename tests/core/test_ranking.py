"""Comparison of vectors, the nearest ones, and the measures of retrieval."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from tp_core.errors import DataError
from tp_core.inference import ranking
from tp_core.inference.ranking import measures, nearest, paired_similarities, places, similarities

FORMULAS: dict[str, Any] = {
    "cosine": lambda a, b: 1 - cdist(a, b, "cosine"),
    "dot": lambda a, b: a @ b.T,
    "euclidean": lambda a, b: -cdist(a, b, "euclidean"),
    "manhattan": lambda a, b: -cdist(a, b, "cityblock"),
}


def drawn(seed: int, *shape: int) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(1, 5, 3), (7, 4, 16)])
@pytest.mark.parametrize("by", FORMULAS)
def test_similarities_follow_their_formulas(by: Any, shape: tuple[int, int, int]) -> None:
    rows, columns, size = shape
    one, other = drawn(0, rows, size), drawn(1, columns, size)
    wanted = FORMULAS[by](one.astype(np.float64), other.astype(np.float64))
    assert np.abs(similarities(one, other, by) - wanted).max() < 1e-5
    count = min(rows, columns)
    assert np.abs(paired_similarities(one[:count], other[:count], by) - wanted.diagonal()[:count]).max() < 1e-5


def test_a_zero_vector_is_similar_to_nothing() -> None:
    assert similarities(np.zeros((1, 3), np.float32), drawn(0, 2, 3), "cosine").tolist() == [[0.0, 0.0]]


def test_nearby_vectors_keep_their_distances() -> None:
    one = np.full((1, 8), 1000, np.float32)
    near = one + np.float32(0.25)
    assert similarities(one, near, "euclidean")[0, 0] == pytest.approx(-0.25 * 8**0.5, rel=1e-6)


@pytest.mark.parametrize("top", [1, 3, 20, 99])
@pytest.mark.parametrize("by", FORMULAS)
def test_the_nearest_are_the_first_of_all_in_order(by: Any, top: int) -> None:
    queries, candidates = drawn(0, 4, 5), drawn(1, 20, 5).round(0)  # rounded, so that some are equal
    names = [f"n{number}" for number in range(20)]
    whole = similarities(queries, candidates, by)
    for row, found in zip(whole, nearest(queries, candidates, names, top, by)):
        order = np.argsort(-row, kind="stable")[:top]
        assert [each["name"] for each in found] == [names[n] for n in order]
        assert [each["similarity"] for each in found] == [float(row[n]) for n in order]


def test_similarities_that_are_no_numbers_come_last() -> None:
    candidates = np.array([[np.nan, 1], [1, 1], [np.nan, 2]], np.float32)
    (found,) = nearest(np.ones((1, 2), np.float32), candidates, ["a", "b", "c"], 2)
    assert [each["name"] for each in found] == ["b", "a"]


def brute_places(scores: Any, pairs: list[list[int]]) -> list[int]:
    """The place of the best right answer of each row that is in a pair, by sorting; right answers win no ties."""
    found = []
    for row in sorted({one for one, _ in pairs}):
        right = {other for one, other in pairs if one == row}
        order = sorted(range(scores.shape[1]), key=lambda n: (-scores[row, n], n in right))
        found.append(min(order.index(n) for n in right))
    return found


@pytest.mark.parametrize("block", [1, 30, 1 << 24])
@pytest.mark.parametrize("by", ["dot", "cosine", "euclidean", "manhattan"])
@pytest.mark.parametrize("seed", range(3))
def test_places_are_those_of_sorting(monkeypatch: pytest.MonkeyPatch, seed: int, by: Any, block: int) -> None:
    monkeypatch.setattr(ranking, "_BLOCK", block)
    first, second = drawn(seed, 12, 4), drawn(seed + 9, 9, 4)
    draws = np.random.default_rng(seed)
    pairs = sorted({(int(a), int(b)) for a, b in zip(draws.integers(12, size=20), draws.integers(9, size=20))})
    pairs += [(0, n) for n in range(9) if (0, n) not in pairs]  # every second item has an answer
    there, back = places(first, second, np.array(pairs), by)
    used = sorted({one for one, _ in pairs})
    scores = similarities(first, second, by)
    assert there.tolist() == brute_places(scores, [list(pair) for pair in pairs])
    renumbered = [[other, used.index(one)] for one, other in pairs]
    assert back.tolist() == brute_places(scores[used].T, renumbered)


def test_recall_and_the_mean_reciprocal_rank_follow_their_formulas() -> None:
    found = measures(np.array([0, 1, 4, 9]), (1, 2, 5))
    assert found == {
        "recall@1": 0.25,
        "recall@2": 0.5,
        "recall@5": 0.75,
        "mrr": pytest.approx((1 + 1 / 2 + 1 / 5 + 1 / 10) / 4),
    }


def test_without_pairs_there_is_nothing_to_measure() -> None:
    with pytest.raises(DataError, match="recall needs pairs, and no record has items on both sides"):
        places(drawn(0, 2, 3), drawn(1, 2, 3), np.empty((0, 2), np.int64))
