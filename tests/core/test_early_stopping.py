"""Early stopping: which metrics there are, which way each is better, and what counts as an improvement. Torch-free."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tp_core import MetricFacts, SpecError, TPError, load_spec
from tp_core.spec.checks.run import check_run
from tp_core.spec.metrics import early_stopping_mode, evaluation_metrics, shown_metrics
from tp_core.spec.sections.train import EarlyStopping
from tp_core.training.early_stopping import EarlyStopper

TARGET = """\
from tp_core import MetricFacts, TargetConfig
from tp_core.metrics import PEARSON

class Config(TargetConfig):
    '''A number for each sample.'''

    def requires(self, context):
        return {}

    def measures(self, context):
        return {"mae": MetricFacts("low"), "pearson": PEARSON, "scale": MetricFacts(None)}
"""


def write_spec(folder: Path, targets: list[Any], *, sets: bool = False, evaluated: bool = True) -> Path:
    """A spec of texts with classes, and a target of a local file, ``own.regress``."""
    (folder / "own").mkdir(exist_ok=True)
    (folder / "own" / "regress.py").write_text(TARGET)
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\n")
    (folder / "train.tsv").write_text("text\tlabel\na\t0\nb\t1\n")
    data: dict[str, Any] = {"tokenizer": {"space": {"vocab": "vocab.txt"}}}
    own: dict[str, Any] = {"processor": {"cls": {"max_length": 8}}, "train": "train.tsv"}
    if sets:
        data["sets"] = {"one": {**own, "eval": "train.tsv"}, "two": dict(own)}
    else:
        data |= {**own, **({"eval": "train.tsv"} if evaluated else {})}
    model = {"hidden_size": 8, "embedding": ["word"], "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}}}
    spec = {"model": {**model, "target": targets}, "data": data, "train": {"steps": 1, "batch_size": 2}}
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    return folder / "spec.yaml"


def found_in(file: Path, *changes: str) -> list[str]:
    """The findings of ``tp check``, as ``option: message``."""
    try:
        check_run(load_spec(file, changes))
    except SpecError as error:
        return [f"{problem.path}: {problem.message}" for problem in error.problems]
    return []


def stopping(**options: Any) -> str:
    return f"train.early_stopping={{{', '.join(f'{key}: {value}' for key, value in options.items())}}}"


CLASSES: list[Any] = [{"cls": {"metrics": ["f1", "auc"]}}, "own.regress:Config"]


def test_an_evaluation_has_the_metrics_that_targets_declare_by_the_names_that_users_write(tmp_path: Path) -> None:
    names = {
        "loss": "low",
        "loss/cls": "low",
        "loss/own.regress:Config": "low",
        "cls/f1": "high",
        "cls/auc": "high",
        "own.regress:Config/mae": "low",
        "own.regress:Config/pearson": "high",
        "own.regress:Config/scale": None,
    }
    spec = load_spec(write_spec(tmp_path, CLASSES))
    assert {name: facts.better for name, facts in evaluation_metrics(spec).items()} == names
    assert shown_metrics(spec) == ["cls/f1", "own.regress:Config/mae"]
    assert evaluation_metrics(load_spec(write_spec(tmp_path, CLASSES, evaluated=False))) == {}


def test_of_several_data_sets_those_with_held_out_data_are_evaluated(tmp_path: Path) -> None:
    spec = load_spec(write_spec(tmp_path, ["cls"], sets=True))
    assert list(evaluation_metrics(spec)) == ["loss", "loss/one/cls", "one/cls/accuracy"]
    assert list(evaluation_metrics(spec, ["one", "two"])) == [
        *("loss", "loss/one/cls", "one/cls/accuracy"),
        *("loss/two/cls", "two/cls/accuracy"),
        "mean",
    ]


@pytest.mark.parametrize(
    ("metric", "mode"),
    [
        ("loss", "min"),
        ("loss/cls", "min"),
        ("loss/own.regress:Config", "min"),
        ("cls/f1", "max"),
        ("own.regress:Config/mae", "min"),
        ("own.regress:Config/pearson", "max"),
    ],
)
def test_the_mode_is_what_is_declared(tmp_path: Path, metric: str, mode: str) -> None:
    file = write_spec(tmp_path, CLASSES)
    for given in ({}, {"mode": mode}):
        change = stopping(metric=f"'{metric}'", **given)
        assert found_in(file, change) == []
        assert early_stopping_mode(load_spec(file, [change])) == mode
    other = {"min": "max", "max": "min"}[mode]
    better = {"min": "low", "max": "high"}[mode]
    (message,) = found_in(file, stopping(metric=f"'{metric}'", mode=other))
    expected = f"is {other}, and {better} values of '{metric}' are better; leave mode out"
    assert message == f"train.early_stopping.mode: {expected}"


def test_a_metric_of_which_neither_side_is_better_needs_a_mode(tmp_path: Path) -> None:
    file, metric = write_spec(tmp_path, CLASSES), "own.regress:Config/scale"
    (message,) = found_in(file, stopping(metric=f"'{metric}'"))
    assert message.startswith("train.early_stopping.mode: is required: it is unknown if low or high values of")
    for mode in ("min", "max"):
        change = stopping(metric=f"'{metric}'", mode=mode)
        assert found_in(file, change) == []
        assert early_stopping_mode(load_spec(file, [change])) == mode


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (
            "cls/acuracy",
            "no evaluation gives 'cls/acuracy', only loss, loss/cls, cls/accuracy; did you mean 'cls/accuracy'?",
        ),
        ("accuracy", "no evaluation gives 'accuracy', only loss, loss/cls, cls/accuracy; did you mean 'cls/accuracy'?"),
        ("kl", "no evaluation gives 'kl', only loss, loss/cls, cls/accuracy"),
        ("eval/cls/accuracy", "is written without 'eval/' here: 'cls/accuracy'"),
    ],
)
def test_a_metric_that_there_is_not_is_refused_with_those_there_are(tmp_path: Path, metric: str, message: str) -> None:
    file = write_spec(tmp_path, ["cls"])
    assert found_in(file, stopping(metric=metric)) == [f"train.early_stopping.metric: {message}"]


def test_a_metric_of_a_set_carries_its_name(tmp_path: Path) -> None:
    file = write_spec(tmp_path, ["cls"], sets=True)
    assert found_in(file, stopping(metric="one/cls/accuracy")) == []
    (message,) = found_in(file, stopping(metric="cls/accuracy"))
    assert "only loss, loss/one/cls, one/cls/accuracy; did you mean 'one/cls/accuracy'?" in message
    (message,) = found_in(file, stopping(metric="two/cls/accuracy"))
    assert message == "train.early_stopping.metric: 'two/cls/accuracy' needs data.sets.two.eval"


def test_without_held_out_data_both_the_data_and_the_metric_are_found_wrong(tmp_path: Path) -> None:
    file = write_spec(tmp_path, ["cls"], evaluated=False)
    assert found_in(file, stopping(metric="loss")) == ["train.early_stopping: needs data.eval"]
    needed, unknown = found_in(file, stopping(metric="loss/clss"))
    assert needed == "train.early_stopping: needs data.eval"
    assert unknown.endswith("did you mean 'loss/cls'?")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "{metrics: [f1], num_labels: 3}",
            "f1 is for two classes, but num_labels is 3; use accuracy, balanced_accuracy, precision_macro",
        ),
        ("{metrics: [auc], num_labels: 4}", "auc is for two classes, but num_labels is 4; use accuracy"),
        ("{metrics: [accuracy, accuracy]}", "accuracy is listed twice"),
        ("{metrics: [f2]}", "f2"),
        ("{metrics: []}", "at least"),
    ],
)
def test_metrics_of_a_classifier_that_cannot_be_are_refused(tmp_path: Path, options: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(write_spec(tmp_path, ["cls"]), [f"model.target=[cls: {options}]"])
    (problem,) = caught.value.problems
    assert problem.path.startswith("model.target.cls.metrics")
    assert message in problem.message


def test_a_side_that_there_is_not_is_a_message() -> None:
    side: Any = "max"
    with pytest.raises(TPError, match="better is 'max'; expected 'low', 'high', or None for neither"):
        MetricFacts(side)


def test_none_of_this_needs_torch(tmp_path: Path) -> None:
    import subprocess

    file = write_spec(tmp_path, CLASSES)
    code = (
        "import sys; from tp_core import load_spec; from tp_core.spec.checks.run import check_run; "
        f"check_run(load_spec({str(file)!r}, ['{stopping(metric='cls/f1')}'])); "
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path).returncode == 0


# -- the best one ----------------------------------------------------------------------------------------------------


def steps_of_the_best(values: list[float], mode: Any, **options: Any) -> list[int]:
    """The evaluations, from 1, each of which was the best one so far."""
    best = EarlyStopper(EarlyStopping(metric="m", **options), mode)
    return [step for step, value in enumerate(values, 1) if best.improved({"m": value}, step)]


def test_the_best_is_the_lowest_or_the_highest_by_more_than_min_delta() -> None:
    values = [3.0, 2.0, 2.5, 1.9, 1.0, 4.0]
    assert steps_of_the_best(values, "min") == [1, 2, 4, 5]
    assert steps_of_the_best(values, "max") == [1, 6]
    assert steps_of_the_best(values, "min", min_delta=0.5) == [1, 2, 5]
    assert steps_of_the_best([0.0, 0.0, -0.5, 0.5], "max") == [1, 4]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_never_the_best_and_no_improvement(mode: Any, value: float) -> None:
    best = EarlyStopper(EarlyStopping(metric="m", patience=2), mode)
    assert not best.improved({"m": value}, 1)
    assert best.note({"m": value}) == f"m is {value}, which early stopping counts as no improvement"
    assert best.improved({"m": 1.0}, 2)
    assert not best.exhausted()
    assert best.note({"m": 1.0}) == ""
    assert not best.improved({"m": value}, 3)
    assert not best.improved({"m": value}, 4)
    assert best.exhausted()
    assert (best.step, best.value) == (2, 1.0)
    assert best.describe() == "m has not improved for 2 evaluations; the best was 1.0000 at step 2"


def test_a_metric_without_a_single_value_has_no_best() -> None:
    best = EarlyStopper(EarlyStopping(metric="m", patience=2), "min")
    assert [best.improved({"m": math.nan}, step) for step in (1, 2)] == [False, False]
    assert best.exhausted()
    assert best.step is None
    assert best.describe() == "m has had no value in 2 evaluations"
