"""Comparison of vectors: the nearest ones, and measures of how well pairs are found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tp_core.errors import DataError
from tp_core.options.facts import Comparison

Vectors = NDArray[np.float32]
#: Maximum number of similarities in memory.
_BLOCK = 1 << 24
RANKS = (1, 5, 10)


def similarities(one: Vectors, other: Vectors, by: Comparison) -> Vectors:
    """The similarities of all vectors of two groups, (rows, columns). Distances have a minus sign.

    Args:
        one: (rows, size).
        other: (columns, size).
        by: the function that compares two vectors.
    """
    return _compared(_prepared(one, by), _prepared(other, by), by)


def paired_similarities(one: Vectors, other: Vectors, by: Comparison) -> Vectors:
    """The similarity of each row of two groups of vectors, (rows,). Distances have a minus sign.

    Args:
        one: (rows, size).
        other: (rows, size).
        by: the function that compares two vectors.
    """
    one, other = _prepared(one, by), _prepared(other, by)
    if by in ("cosine", "dot"):
        return np.asarray((one * other).sum(axis=1), dtype=np.float32)
    return np.asarray(0 - np.linalg.norm(one - other, ord=2 if by == "euclidean" else 1, axis=1), dtype=np.float32)


def _prepared(vectors: Vectors, by: Comparison) -> Vectors:
    """Vectors for :func:`_compared`: of length 1 for the cosine."""
    if by != "cosine":
        return vectors
    units: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))
    return units


def _compared(one: Vectors, other: Vectors, by: Comparison) -> Vectors:
    found: Vectors
    if by in ("cosine", "dot"):
        found = one @ other.T
        return found
    order, exact = (2.0 if by == "euclidean" else 1.0), "donot_use_mm_for_euclid_dist"
    found = 0 - torch.cdist(torch.from_numpy(one), torch.from_numpy(other), order, compute_mode=exact).numpy()
    return found


def nearest(
    queries: Vectors, candidates: Vectors, names: Sequence[str], top: int, by: Comparison = "dot"
) -> list[list[dict[str, Any]]]:
    """The candidates that are most similar to each query, the best first. Equal ones keep their order.

    Args:
        queries: (queries, size).
        candidates: vectors of ``names``, (candidates, size).
        top: maximum number of candidates of a query.
        by: the function that compares two vectors.

    Returns:
        For each query, ``name`` and ``similarity`` of its candidates. A distance has a minus sign.
    """
    found: list[list[dict[str, Any]]] = []
    for _, block in _blocks(_prepared(queries, by), _prepared(candidates, by), by):
        for row in block:
            found.append([{"name": names[n], "similarity": float(row[n])} for n in _best(row, top)])
    return found


def _best(similarity: Vectors, top: int) -> Sequence[int]:
    """The numbers of the highest similarities, the best first; numbers of equal similarities are in order."""
    numbers = np.arange(len(similarity))
    if top < len(similarity):
        least = -np.partition(-similarity, top - 1)[top - 1]
        if not np.isnan(least):
            numbers = np.flatnonzero(similarity >= least)
    order = np.argsort(-similarity[numbers], kind="stable")[:top]
    best: list[int] = numbers[order].tolist()
    return best


def places(
    first: Vectors, second: Vectors, pairs: NDArray[np.int64], by: Comparison = "dot"
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The place of the best correct answer to each query, from 0, in both directions.

    A wrong answer that is exactly as similar as the best correct answer is ranked before it. Other correct answers are
    not counted. Items of the first side that are in no pair are neither queries nor answers.

    Args:
        first: vectors of the first side, (items, size).
        second: vectors of the second side, (other items, size).
        pairs: (pairs, 2), numbers of a first and a second item that belong together; each pair occurs once.
        by: the function that compares two vectors.

    Returns:
        The places among all second items for each first item that is in a pair; and the places among these first items
        for each second item.

    Raises:
        DataError: there is no pair.
    """
    if not len(pairs):
        raise DataError("recall needs pairs, and no record has items on both sides")
    paired, own = np.unique(pairs[:, 0], return_inverse=True)
    order = np.argsort(own, kind="stable")
    # Sorted by first item, like the blocks.
    own, truth = own.reshape(-1)[order], pairs[order, 1]
    rows_of, columns_of = _prepared(first[paired], by), _prepared(second, by)
    best_there = np.full(len(rows_of), -np.inf, dtype=np.float32)
    best_back = np.full(len(second), -np.inf, dtype=np.float32)
    for rows, similarity in _blocks(rows_of, columns_of, by):
        here = slice(*np.searchsorted(own, (rows.start, rows.start + len(similarity))))
        right = similarity[own[here] - rows.start, truth[here]]
        with np.errstate(invalid="ignore"):
            np.maximum.at(best_there, own[here], right)
            np.maximum.at(best_back, truth[here], right)
    there, back = np.empty(len(rows_of), dtype=np.int64), np.zeros(len(second), dtype=np.int64)
    for rows, similarity in _blocks(rows_of, columns_of, by):
        here = slice(*np.searchsorted(own, (rows.start, rows.start + len(similarity))))
        similarity[own[here] - rows.start, truth[here]] = -np.inf
        # "not less" instead of "greater or equal", so that NaN does not count as a correct answer.
        there[rows] = (~(similarity < best_there[rows, None])).sum(axis=1)
        back += (~(similarity < best_back)).sum(axis=0)
    return there, back


def measures(found: NDArray[np.int64], ranks: Iterable[int] = RANKS) -> dict[str, float]:
    """``recall@k``, the share of queries with a correct answer among the first k; ``mrr``, the mean reciprocal rank.

    Args:
        found: the places of :func:`places`, (queries,).
        ranks: the values of k.
    """
    recall = {f"recall@{k}": float((found < k).mean()) for k in ranks}
    return recall | {"mrr": float((1.0 / (found + 1)).mean())}


def _blocks(one: Vectors, other: Vectors, by: Comparison) -> Iterator[tuple[slice, Vectors]]:
    """Blocks of similarities of some rows and all columns, with the slice of the rows; both are prepared."""
    rows = max(1, _BLOCK // max(1, len(other)))
    for start in range(0, len(one), rows):
        yield slice(start, start + rows), _compared(one[start : start + rows], other, by)
