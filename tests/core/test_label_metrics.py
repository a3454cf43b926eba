"""Metrics of multi-label classification and of regression: their values against scikit-learn and SciPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as sklearn

from tp_core.metrics.counts import label_counts
from tp_core.metrics.label_sets import (
    LABEL_METRICS,
    average_precision,
    average_precision_macro,
    label_f1_macro,
    label_f1_micro,
    label_f1s,
)
from tp_core.metrics.thresholds import best_threshold
from tp_core.metrics.values import r2, value_facts
from tp_core.modules.targets.multi_label import label_states

EXACT = 1e-12

#: Shares of labels per class: usual ones, one class without labels, one that is always a label, none at all.
SHARES = [(0.5, 0.3, 0.2), (0.4, 0.0, 0.2), (0.3, 1.0, 0.1, 0.6), (0.0, 0.0)]


def drawn(shares: tuple[float, ...], rows: int = 80, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Labels (rows, classes) bool, and float32 probabilities that fit more often than by chance, with many ties."""
    rng = np.random.default_rng(seed)
    labels = rng.random((rows, len(shares))) < np.array(shares)
    scores = (0.6 * rng.random(labels.shape) + 0.4 * labels * rng.random(labels.shape)).round(2)
    return labels, scores.astype(np.float32)


def found(labels: Any, scores: Any, counted: Any, thresholds: Any) -> dict[str, float]:
    given = [torch.as_tensor(each) for each in (scores, labels, counted, thresholds)]
    states = label_states(LABEL_METRICS, *given)
    values = {name: getattr(state, "columns", state) for name, state in states.items()}
    return {name: LABEL_METRICS[name].compute(*(each.numpy() for each in state)) for name, state in values.items()}


@pytest.mark.filterwarnings("ignore:No positive class found", "ignore:.*(F-score|Recall|Precision) is ill-defined")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shares", SHARES)
def test_metrics_of_label_sets_are_those_of_scikit_learn(shares: tuple[float, ...], seed: int) -> None:
    labels, scores = drawn(shares, seed=seed)
    thresholds = np.linspace(0.3, 0.6, len(shares), dtype=np.float32)
    predicted = scores >= thresholds
    assert found(labels, scores, np.ones_like(labels), thresholds) == {
        "f1_micro": pytest.approx(sklearn.f1_score(labels, predicted, average="micro"), rel=EXACT),
        "f1_macro": pytest.approx(sklearn.f1_score(labels, predicted, average="macro"), rel=EXACT),
        "average_precision": pytest.approx(sklearn.average_precision_score(labels, scores), rel=EXACT),
        "exact_match": pytest.approx(sklearn.accuracy_score(labels, predicted), rel=1e-6),
        "accuracy": pytest.approx(1 - sklearn.hamming_loss(labels, predicted), rel=1e-6),
    }


@pytest.mark.filterwarnings("ignore:No positive class found")
def test_labels_that_are_unknown_count_in_no_metric() -> None:
    labels, scores = drawn((0.5, 0.3, 0.2), seed=5)
    counted = np.random.default_rng(1).random(labels.shape) < 0.6
    counted[:, 2] = False
    counted[:4] = False
    thresholds = np.full(3, 0.5, dtype=np.float32)
    values = found(np.where(counted, labels, True), scores, counted, thresholds)
    predicted = scores >= 0.5
    each = [(labels[known, n], predicted[known, n], scores[known, n]) for n, known in enumerate(counted.T)][:2]
    assert values["f1_macro"] == pytest.approx(np.mean([sklearn.f1_score(y, p) for y, p, _ in each]))
    assert values["average_precision"] == pytest.approx(
        np.mean([sklearn.average_precision_score(y, s) for y, _, s in each])
    )
    assert values["f1_micro"] == pytest.approx(sklearn.f1_score(labels[counted], predicted[counted]))
    assert values["accuracy"] == pytest.approx((labels == predicted)[counted].mean(), rel=1e-6)
    right = [(labels == predicted)[row][known].all() for row, known in enumerate(counted) if known.any()]
    assert values["exact_match"] == pytest.approx(np.mean(right), rel=1e-6)
    assert math.isnan(label_f1s(label_counts(*map(torch.as_tensor, (predicted, labels, counted))).numpy())[2])


def test_metrics_of_no_labels_at_all_are_undefined() -> None:
    none = np.zeros((4, 3))
    assert math.isnan(label_f1_micro(none))
    assert math.isnan(label_f1_macro(none))
    columns = np.zeros((0, 2)), np.zeros((0, 2), bool), np.zeros((0, 2), bool)
    assert math.isnan(average_precision_macro(*columns))


def test_average_precision_of_scores_that_are_no_number_is_undefined() -> None:
    labels = np.array([True, False, True])
    assert math.isnan(average_precision(np.array([0.5, math.nan, 0.1]), labels))
    assert average_precision(np.array([0.5, math.nan, 0.1]), labels, np.array([True, False, True])) == 1.0


# -- thresholds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("share", [0.05, 0.3, 1.0])
def test_no_threshold_has_a_higher_f1_than_the_best(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.random(60) < share
    labels[0] = True
    scores = (rng.random(60) * (0.5 + labels)).astype(np.float32) / 2
    scores = scores.round(2).clip(0.01) if seed % 2 else scores  # with ties, too
    threshold = best_threshold(scores.astype(np.float64), labels)
    assert threshold is not None
    every = [sklearn.f1_score(labels, scores >= each) for each in (*scores, 0.0, 1.1)]
    assert sklearn.f1_score(labels, scores >= np.float32(threshold)) == pytest.approx(max(every), rel=EXACT)
    gap = np.abs(scores - threshold).min()
    distinct = np.unique(np.append(scores, 0))
    assert gap == pytest.approx(np.diff(distinct)[np.searchsorted(distinct, threshold) - 1] / 2, abs=1e-7)


def test_a_threshold_lies_between_scores_that_float32_can_just_tell_apart() -> None:
    low = np.float32(0.7)
    high = np.nextafter(low, np.float32(1))
    threshold = best_threshold(np.array([high, low], dtype=np.float64), np.array([True, False]))
    assert threshold is not None
    assert [score >= np.float32(threshold) for score in (high, low)] == [True, False]


def test_without_a_label_or_with_a_score_that_is_no_number_there_is_no_best_threshold() -> None:
    scores = np.array([0.2, 0.8])
    assert best_threshold(scores, np.array([False, False])) is None
    assert best_threshold(np.array([0.2, math.nan]), np.array([True, False])) is None
    assert best_threshold(np.zeros(0), np.zeros(0, bool)) is None


# -- numbers ---------------------------------------------------------------------------------------------------------


def values(name: str, predicted: Any, wanted: Any, counted: Any) -> dict[str, float]:
    """The numbers of a metric, from states as the target makes them."""
    from tp_core.modules.targets.regression import _states

    given = (torch.as_tensor(each) for each in (predicted, wanted, counted))
    facts = value_facts(name, predicted.shape[1])
    states = {key: getattr(state, "columns", state) for key, state in _states(name, *given).items()}
    assert states.keys() == facts.keys()
    return {key: facts[key].compute(*(each.numpy() for each in state)) for key, state in states.items()}


SCIPY = {
    "pearson": lambda wanted, predicted: stats.pearsonr(predicted, wanted).statistic,
    "spearman": lambda wanted, predicted: stats.spearmanr(predicted, wanted).statistic,
    "mse": sklearn.mean_squared_error,
    "mae": sklearn.mean_absolute_error,
    "r2": sklearn.r2_score,
}


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("name", SCIPY)
def test_metrics_of_numbers_are_those_of_scikit_learn_and_scipy(name: str, outputs: int) -> None:
    rng = np.random.default_rng(outputs)
    wanted = rng.normal(size=(50, outputs)) * [10**n for n in range(outputs)]
    predicted = wanted + rng.normal(size=wanted.shape)
    counted = rng.random(wanted.shape) < 0.7
    for known in (np.ones_like(counted), counted):
        one = [SCIPY[name](wanted[at, n], predicted[at, n]) for n, at in enumerate(known.T)]
        expected = {name: np.mean(one)} | ({f"{name}_{n}": each for n, each in enumerate(one)} if outputs > 1 else {})
        masked = (np.where(known, each, 0.0) for each in (predicted, wanted))
        assert values(name, *masked, known) == {
            key: pytest.approx(each, rel=1e-6 if name in ("mse", "mae") else EXACT) for key, each in expected.items()
        }


@pytest.mark.parametrize("name", SCIPY)
def test_the_metric_of_an_output_without_labels_is_undefined_and_so_is_the_mean(name: str) -> None:
    rng = np.random.default_rng(0)
    predicted, wanted = rng.normal(size=(2, 9, 2))
    counted = np.ones((9, 2), bool)
    counted[:, 1] = False
    found = values(name, predicted, np.where(counted, wanted, predicted), counted)
    assert math.isnan(found[name])
    assert math.isnan(found[f"{name}_1"])
    assert math.isfinite(found[f"{name}_0"])


@pytest.mark.parametrize(
    ("predicted", "wanted"), [([1.0, 1.0], [1.0, 1.0]), ([1.0, 2.0], [1.0, 1.0]), ([0.1] * 3, [0.1] * 3)]
)
def test_the_coefficient_of_determination_of_equal_labels_is_that_of_scikit_learn(
    predicted: list[float], wanted: list[float]
) -> None:
    assert r2(np.array(predicted), np.array(wanted)) == sklearn.r2_score(wanted, predicted)


def test_the_coefficient_of_determination_needs_two_rows_that_are_finite() -> None:
    assert math.isnan(r2(np.ones(1), np.ones(1)))
    assert math.isnan(r2(np.array([1.0, math.inf]), np.array([1.0, 2.0])))
    assert r2(np.array([1.0, math.nan, 2.0]), np.array([1.0, 0.0, 2.0]), np.array([True, False, True])) == 1.0
