"""Metrics with a state: their values against scikit-learn and SciPy, and the same however the data are divided."""

from __future__ import annotations

import json
import math
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as sklearn

from tests.core import runs
from tp_core import evaluate, load_model, predict
from tp_core.errors import TPError
from tp_core.evaluation.totals import JoinedRows, Totals, computed
from tp_core.interfaces import IGNORE, Joined
from tp_core.metrics import MetricFacts
from tp_core.metrics.classes import (
    CLASS_METRICS,
    auc,
    balanced_accuracy,
    f1,
    f1_macro,
    f1_micro,
    f1_weighted,
    matthews,
    precision_macro,
    recall_macro,
)
from tp_core.metrics.correlation import pearson, spearman
from tp_core.metrics.counts import class_counts
from tp_core.modules.targets.class_metrics import class_metrics
from tp_core.processes.group import ProcessGroup

EXACT = 1e-12


def counts_of(labels: Any, predicted: Any, classes: int) -> NDArray[Any]:
    return class_counts(torch.as_tensor(predicted), torch.as_tensor(labels), classes).numpy()


def drawn(classes: int, rows: int, seed: int, among: list[int] | None = None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Labels and predictions that agree more often than by chance."""
    rng = np.random.default_rng(seed)
    labels, others = rng.choice(among or classes, (2, rows))
    return labels, np.where(rng.random(rows) < 0.5, labels, others)


# -- classes ---------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:A single label", "ignore:y_pred contains")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("classes", "among"), [(2, None), (3, None), (7, [0, 2, 5]), (4, [3]), (2, [0]), (2, [1])])
def test_metrics_of_counts_are_those_of_scikit_learn(classes: int, among: list[int] | None, seed: int) -> None:
    labels, predicted = drawn(classes, 200, seed, among)
    counts = counts_of(labels, predicted, classes)
    assert f1_macro(counts) == pytest.approx(sklearn.f1_score(labels, predicted, average="macro"), rel=EXACT)
    assert f1_micro(counts) == pytest.approx(sklearn.f1_score(labels, predicted, average="micro"), rel=EXACT)
    assert matthews(counts) == pytest.approx(sklearn.matthews_corrcoef(labels, predicted), abs=EXACT)
    if classes > 3:  # predictions of classes that are no label, and labels that are never predicted
        labels, predicted = np.where(labels == 2, 3, labels), np.where(predicted == 0, 6 % classes, predicted)
        counts = counts_of(labels, predicted, classes)
    for metric, average in ((f1_macro, "macro"), (f1_weighted, "weighted")):
        expected = sklearn.f1_score(labels, predicted, average=average, zero_division=0)
        assert metric(counts) == pytest.approx(expected, rel=EXACT)
    expected = sklearn.precision_score(labels, predicted, average="macro", zero_division=0)
    assert precision_macro(counts) == pytest.approx(expected, rel=EXACT)
    expected = sklearn.recall_score(labels, predicted, average="macro", zero_division=0)
    assert recall_macro(counts) == pytest.approx(expected, rel=EXACT)
    expected = sklearn.balanced_accuracy_score(labels, predicted)
    assert balanced_accuracy(counts) == pytest.approx(expected, rel=EXACT)
    if classes == 2:
        assert f1(counts) == pytest.approx(sklearn.f1_score(labels, predicted, zero_division=0), rel=EXACT)


@pytest.mark.filterwarnings("ignore:A single label")
@pytest.mark.parametrize(("label", "found"), [(0, 1), (1, 0), (0, 0), (1, 1)])
def test_one_class_among_labels_and_one_among_predictions(label: int, found: int) -> None:
    labels, predicted = [label] * 5, [found] * 5
    counts = counts_of(labels, predicted, 2)
    assert f1(counts) == sklearn.f1_score(labels, predicted, zero_division=0)
    assert f1_macro(counts) == sklearn.f1_score(labels, predicted, average="macro", zero_division=0)
    assert matthews(counts) == sklearn.matthews_corrcoef(labels, predicted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("k", [2, 3, 5, 10])
def test_top_k_is_scikit_learns(k: int, dtype: torch.dtype) -> None:
    torch.manual_seed(k)
    logits = (torch.randn(200, 12) * 100).to(dtype)  # large, so that none are tied
    labels = torch.randint(0, 9, (200,))  # three classes are no label
    counted = torch.rand(200) < 0.8
    found = class_metrics([f"top_{k}"], logits, labels.masked_fill(~counted, IGNORE), counted)
    scores = logits[counted].double().numpy()
    expected = sklearn.top_k_accuracy_score(labels[counted], scores, k=k, labels=range(12))
    assert numbers([found], dict(CLASS_METRICS)) == {f"top_{k}": pytest.approx(expected)}


def test_among_equal_logits_the_first_classes_are_the_top_ones_and_nan_is_no_hit() -> None:
    every = torch.ones(4, dtype=torch.bool)
    labels = torch.arange(4)
    equal = torch.zeros(4, 4)
    assert class_metrics(["top_2"], equal, labels, every)["top_2"][0] == 2
    assert class_metrics(["accuracy"], equal, labels, every)["accuracy"][0] == 1
    assert class_metrics(["top_3"], equal * math.nan, labels, every)["top_3"][0] == 0


def test_matthews_correlation_of_very_many_samples_neither_overflows_nor_loses_digits() -> None:
    labels, predicted = drawn(3, 1000, 0)
    counts = counts_of(labels, predicted, 3)
    assert matthews(counts * 10**12) == pytest.approx(sklearn.matthews_corrcoef(labels, predicted), rel=EXACT)


def test_metrics_of_nothing_are_undefined() -> None:
    empty = np.zeros((3, 2))
    others = (balanced_accuracy, precision_macro, recall_macro, f1_weighted)
    assert all(math.isnan(metric(empty)) for metric in (f1, f1_macro, f1_micro, matthews, *others))
    assert math.isnan(auc(np.zeros(0), np.zeros(0)))
    assert math.isnan(pearson(np.zeros(0), np.zeros(0)))
    assert math.isnan(spearman(np.zeros(1), np.zeros(1)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("seed", range(3))
def test_auc_is_scikit_learns_with_ties_one_half(seed: int, dtype: torch.dtype) -> None:
    torch.manual_seed(seed)
    labels = torch.randint(0, 2, (300,))
    scores = (torch.randn(300) + labels).to(dtype)
    if dtype == torch.bfloat16:
        scores = (scores * 2).round()  # so that nearly all are tied
    found = auc(scores.double().numpy(), labels.numpy())
    assert found == pytest.approx(sklearn.roc_auc_score(labels, scores.double()), rel=EXACT)
    pairs = scores[labels == 1].double().unsqueeze(1) - scores[labels == 0].double()
    assert found == pytest.approx(((pairs > 0).double() + (pairs == 0).double() / 2).mean().item(), rel=EXACT)


def test_auc_of_one_class_or_of_what_is_no_number_is_undefined() -> None:
    assert math.isnan(auc(np.arange(4.0), np.ones(4)))
    assert math.isnan(auc(np.arange(4.0), np.zeros(4)))
    assert math.isnan(auc(np.array([0.0, math.nan]), np.array([0, 1])))
    assert auc(np.array([0.5, 0.5, 9.0]), np.array([0, 1, 1]), np.array([True, True, False])) == 0.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_metrics_of_a_classifier_leave_out_samples_without_a_label(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    logits = torch.randn(40, 2).mul(2).round().to(dtype)
    labels = torch.randint(0, 2, (40,))
    counted = torch.rand(40) < 0.7
    names = ["accuracy", "f1", "f1_macro", "f1_micro", "matthews", "auc"]
    found = class_metrics(names, logits, labels.masked_fill(~counted, IGNORE), counted)
    expected = class_metrics(names, logits[counted], labels[counted], torch.ones(int(counted.sum()), dtype=torch.bool))
    facts = dict(CLASS_METRICS)
    assert numbers([found], facts) == numbers([expected], facts)
    best = logits[counted].double().numpy().argmax(axis=1)
    assert numbers([found], facts)["accuracy"] == sklearn.accuracy_score(labels[counted], best)
    assert numbers([found], facts)["f1"] == pytest.approx(sklearn.f1_score(labels[counted], best), rel=EXACT)


# -- correlation -----------------------------------------------------------------------------------------------------


def exact_pearson(one: NDArray[Any], other: NDArray[Any]) -> float:
    """In fractions up to the root."""
    x, y = ([Fraction(float(value)) for value in each] for each in (one, other))
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    shared = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y))
    square = shared**2 / sum((a - mean_x) ** 2 for a in x) / sum((b - mean_y) ** 2 for b in y)
    return math.copysign(math.sqrt(square), shared)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e7])
@pytest.mark.parametrize("scale", [1e-160, 1.0, 1e150])
def test_pearson_is_exact_where_sums_of_squares_would_cancel(offset: float, scale: float) -> None:
    rng = np.random.default_rng(0)
    one = rng.normal(size=100)
    other = (one + rng.normal(size=100) + offset) * scale
    assert pearson(one + offset, other) == pytest.approx(exact_pearson(one + offset, other), abs=EXACT)


def test_correlations_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 60))
    for x, y in ((one, other), (one, one + other), (one.round(), other.round()), (one, -one), (one[:2], other[:2])):
        assert pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=EXACT)
        assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=EXACT)


@pytest.mark.filterwarnings("error")
def test_correlation_with_a_constant_or_with_what_is_not_finite_is_undefined() -> None:
    one = np.arange(5.0)
    for other in (np.full(5, 0.1), np.array([0, 1, 2, 3, math.nan]), np.array([0, 1, 2, 3, math.inf])):
        assert math.isnan(pearson(one, other))
        assert math.isnan(pearson(other, one))
    assert math.isnan(spearman(one, np.full(5, 0.1)))
    assert math.isnan(spearman(one, np.array([0, 1, 2, 3, math.nan])))
    assert spearman(one, np.array([0, 1, 2, 3, math.inf])) == pytest.approx(1.0)
    assert pearson(one, np.array([0, 1, 9, 3, 4]), np.array([True, True, False, True, True])) == pytest.approx(1.0)


# -- adding up -------------------------------------------------------------------------------------------------------


def numbers(batches: list[Any], facts: dict[str, MetricFacts]) -> dict[str, float]:
    alone = ProcessGroup()
    totals, rows = Totals(torch.device("cpu")), JoinedRows()
    for number, states in enumerate(batches):
        totals.add({name: state for name, state in states.items() if not isinstance(state, Joined)})
        rows.add(number, {name: state for name, state in states.items() if isinstance(state, Joined)})
    return computed({**totals.read(alone), **rows.read(alone)}, facts)


def test_whole_numbers_and_sums_stay_exact_beyond_what_float32_can_count() -> None:
    large, one = 2.0**24, torch.tensor(1.0)
    states = [{"m": (torch.tensor(large), torch.tensor(large))}, *({"m": (one, 0.0)} for _ in range(3))]
    assert numbers(states, {}) == {"m": (large + 3) / large}


def test_a_window_goes_on_where_its_state_was_taken_and_adds_up_with_others() -> None:
    alone = ProcessGroup()
    states: list[Any] = [
        {"a/x": (torch.rand(()), torch.rand(())), "a/y": (torch.rand(3, 2),)},
        {"b/z": (torch.rand(()), 2)},
        {"a/x": (torch.rand(()), torch.rand(())), "a/y": (torch.rand(3, 2),)},
    ]
    whole, first, second = (Totals(torch.device("cpu")) for _ in range(3))
    for state in states:
        whole.add(state)
    first.add(states[0])
    second.load(first.state())
    for state in states[1:]:
        second.add(state)
    expected, found = whole.read(alone), second.read(alone)
    assert [*found] == [*expected] == ["a/x", "a/y", "b/z"]
    assert all(np.array_equal(a, b) for name in found for a, b in zip(found[name], expected[name]))
    summed = Totals(torch.device("cpu"))
    for each in (first, second):
        summed.load(each.state())
    assert summed.read(alone)["a/y"][0] == pytest.approx(states[0]["a/y"][0].numpy() * 2 + states[2]["a/y"][0].numpy())


def test_a_bad_step_adds_nothing_but_its_names() -> None:
    alone = ProcessGroup()
    step, window = Totals(torch.device("cpu")), Totals(torch.device("cpu"))
    step.add({"m": (torch.tensor(math.nan), torch.tensor(1.0))})
    window.merge(step, skip=torch.tensor(True))
    assert computed(window.read(alone), {}) == {"m": pytest.approx(math.nan, nan_ok=True)}
    step = Totals(torch.device("cpu"))
    step.add({"m": (torch.tensor(3.0), torch.tensor(2.0))})
    window.merge(step, skip=torch.tensor(False))
    assert computed(window.read(alone), {}) == {"m": 1.5}


def test_tensors_that_do_not_add_up_are_a_message() -> None:
    totals = Totals(torch.device("cpu"))
    totals.add({"a/m": (torch.zeros(2),)})
    with pytest.raises(TPError, match=r"'a/m' have the shapes \(\(2,\),\) and \(\(3,\),\); what adds up has one shape"):
        totals.add({"a/m": (torch.zeros(3),)})
    with pytest.raises(TPError, match="'m' is no sum and count, two scalars; measures"):
        numbers([{"m": (torch.zeros(2),)}], {})
    with pytest.raises(TPError, match="'m' is no sum and count"):
        numbers([{"m": Joined((torch.zeros(2),))}], {})


# -- runs ------------------------------------------------------------------------------------------------------------

REGRESS = """\
from tp_core import BuildContext, FieldSpec, Joined, MetricFacts, TargetConfig
from tp_core.options.ports import Port
from tp_core.metrics import PEARSON, SPEARMAN

class Config(TargetConfig):
    '''Predicts a number for each text, and what it is wanted to be is the label.'''

    def requires(self, context):
        return {Port.labels("cls"): FieldSpec(("batch",), high=4)}

    def measures(self, context):
        return {"pearson": PEARSON, "spearman": SPEARMAN, "mae": MetricFacts("low")}

    def build(self, context):
        import torch
        from tp_core import Target, TargetOutput

        class Regress(Target):
            def numbers(self, features):
                return features.sequence.states[:, 1, 0].double() * 1e-3 + 1e4

            def denominator(self, batch):
                return torch.tensor(float(batch.size))

            def forward(self, features, batch):
                found, wanted = self.numbers(features), self.labels_of(batch)["labels"]
                error = (found - wanted).abs().sum()
                rows = Joined((found, wanted))
                metrics = {"pearson": rows, "spearman": rows, "mae": (error, self.denominator(batch))}
                return TargetOutput((error * 1e-6).float(), self.denominator(batch), metrics)

            def predict(self, features, batch):
                return [{"number": number} for number in self.numbers(features).tolist()]

        return Regress()
"""

#: A learning rate of no effect, so that all runs end with the weights that they began with.
STILL = ["train.optimizer={adamw: {lr: 1e-30}}", "model.dropout=0", "train.steps=1", "train.log_every=1"]
METRICS = ["f1_macro", "f1_micro", "matthews", "accuracy"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of three classes and a regression, of 45 short texts; ``run`` is one process in batches of 4."""
    folder = runs.write_project(tmp_path_factory.mktemp("metrics"))
    rng = np.random.default_rng(0)
    lines = [f"{runs.WORDS[n]} {runs.WORDS[n + 1]}\t{rng.integers(3)}" for n in range(45)]
    (folder / "labelled.tsv").write_text("\n".join(["text\tlabel", *lines]) + "\n")
    ones = [line.rpartition("\t")[0] + "\t1" for line in lines]
    (folder / "ones.tsv").write_text("\n".join(["text\tlabel", *ones]) + "\n")
    (folder / "regress.py").write_text(REGRESS)
    spec = runs.read_spec(folder)
    spec["model"] |= {
        "encoder": "identity",
        "pooling": "mean",
        "target": [{"cls": {"num_labels": 3, "metrics": METRICS}}, "regress:Config"],
    }
    for key in ("num_layers", "num_heads", "feed_forward_size"):
        del spec["model"][key]
    spec["data"] |= {"processor": {"cls": {"max_length": 16}}, "train": "labelled.tsv", "eval": "labelled.tsv"}
    runs.write_spec(folder, spec)
    runs.train(folder, "--run", "run", "train.eval_batch_size=4", *STILL)
    return folder


def evaluation(run: Path) -> dict[str, Any]:
    (found,) = [line for line in runs.metrics(run) if "eval/loss" in line]
    return {name: value for name, value in found.items() if not name.startswith(("eval/loss", "step", "epoch"))}


def test_an_evaluation_has_the_values_that_scikit_learn_and_scipy_find_of_the_predictions(home: Path) -> None:
    found = evaluation(home / "run")
    rows = [line.split("\t") for line in (home / "labelled.tsv").read_text().splitlines()[1:]]
    predictions = list(predict(load_model(home / "run", trust_code=True), [text for text, _ in rows]))
    labels = [int(label) for _, label in rows]
    classes = [each["cls"]["label"] for each in predictions]
    values = [each["regress:Config"]["number"] for each in predictions]
    expected = {
        "cls/f1_macro": sklearn.f1_score(labels, classes, average="macro"),
        "cls/f1_micro": sklearn.f1_score(labels, classes, average="micro"),
        "cls/matthews": sklearn.matthews_corrcoef(labels, classes),
        "cls/accuracy": sklearn.accuracy_score(labels, classes),
        "regress:Config/pearson": exact_pearson(np.array(values), np.array(labels, dtype=float)),
        "regress:Config/spearman": stats.spearmanr(values, labels).statistic,
        "regress:Config/mae": np.abs(np.array(values) - labels).mean(),
    }
    assert {f"eval/{name}": pytest.approx(value, abs=1e-9) for name, value in expected.items()} == {
        name: value for name, value in found.items() if "/" in name
    }
    assert expected["regress:Config/pearson"] == pytest.approx(found["eval/regress:Config/pearson"], abs=EXACT)


def test_the_order_of_batches_and_the_number_of_processes_change_no_digit(home: Path) -> None:
    runs.train_pair(home, "--run", "pair", "train.eval_batch_size=4", *STILL)
    runs.train(home, "--run", "odd", "train.eval_batch_size=7", *STILL)
    runs.train(home, "--run", "whole", "train.eval_batch_size=64", *STILL)
    expected = evaluation(home / "run")
    for run in ("pair", "odd", "whole"):
        found = evaluation(home / run)
        assert found == {name: pytest.approx(value, rel=EXACT) for name, value in expected.items()}
        # All but a mean of numbers with digits, which are added in another order.
        assert {**found, "eval/regress:Config/mae": expected["eval/regress:Config/mae"]} == expected


def test_tp_evaluate_gives_the_same_in_one_process_and_in_two(home: Path) -> None:
    arguments = ("evaluate", "run", "--trust-code", "--data", "labelled.tsv", "--batch-size", "4", "--json")
    one, two = (json.loads(run(home, *arguments).splitlines()[-1]) for run in (runs.run_tp, runs.run_group))
    assert two == {name: pytest.approx(value, rel=EXACT) for name, value in one.items()}
    expected = {name.removeprefix("eval/"): value for name, value in evaluation(home / "run").items() if "/" in name}
    assert {name: value for name, value in one.items() if name in expected} == {
        name: pytest.approx(value, rel=EXACT) for name, value in expected.items()
    }


def test_a_log_line_has_what_adds_up_and_leaves_out_what_is_joined(home: Path) -> None:
    (line,) = [line for line in runs.metrics(home / "run") if "loss" in line]
    own = {name for name in line if name.startswith(("cls/", "regress"))}
    assert own == {*(f"cls/{name}" for name in METRICS), "regress:Config/mae"}


def test_a_metric_that_is_not_defined_is_null_and_early_stopping_says_so(home: Path) -> None:
    """The area under the ROC curve of one class alone."""
    classes = ["model.target=[cls: {metrics: [auc, f1], num_labels: 2}]", "data.train=ones.tsv", "data.eval=ones.tsv"]
    steps = ["train.steps=6", "train.eval_every=1", "train.early_stopping={metric: cls/auc, patience: 2}"]
    said = runs.train(home, "--run", "undefined", *STILL, *classes, *steps)
    lines = [line for line in runs.metrics(home / "undefined") if "eval/loss" in line]
    assert [line["eval/cls/auc"] for line in lines] == [None, None]
    assert said.count("cls/auc is nan, which early stopping counts as no improvement") == 2
    assert "stopped early: cls/auc has had no value in 2 evaluations" in said
    found = evaluate(home / "undefined" / "model", str(home / "ones.tsv"))
    assert math.isnan(found["cls/auc"])
    printed = runs.run_tp(home, "evaluate", "undefined", "--data", "ones.tsv", "--json").splitlines()[-1]
    assert json.loads(printed, parse_constant=pytest.fail)["cls/auc"] is None


def test_a_run_is_judged_by_the_declared_side_of_a_metric(home: Path) -> None:
    """Of a divergence that grows, the first evaluation is the best, and its weights are exported."""
    shutil.copy(Path(__file__).with_name("growing.py"), home)
    target = ["model.target=[growing:Config]", "train.optimizer={sgd: {lr: 0.001}}", "train.steps=4"]
    stopping = ["train.eval_every=1", "train.early_stopping={metric: 'growing:Config/kl', patience: 9}"]
    said = runs.train(home, "--run", "growing", *target, *stopping)
    assert [line["eval/growing:Config/kl"] for line in runs.metrics(home / "growing") if "eval/loss" in line] == [
        1,
        2,
        3,
        4,
    ]
    assert "exporting the weights of step 1, the best evaluation" in said
