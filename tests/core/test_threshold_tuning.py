"""Thresholds of a multi-label classifier are found by the evaluations of a training, and kept by the model."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn import metrics as sklearn

from tests.core import runs
from tp_core import evaluate, load_model, load_spec, predict
from tp_core.spec.checks.run import check_run
from tp_core.spec.errors import SpecError

NAME = "targets.multi_label.thresholds.values"
CLASSES = ["a", "e", "i", "o"]
METRICS = ["f1_micro", "f1_macro", "exact_match", "accuracy"]


def label(text: str) -> str:
    """The vowels of the last letters of the first two words, so that a text has up to two classes."""
    return ",".join(dict.fromkeys(word[1] for word in text.split()[:2] if word[1] in CLASSES))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = runs.write_project(tmp_path_factory.mktemp("tuning"), log_every=4, eval_every=8)
    rng = np.random.default_rng(0)
    for file, count in (("labelled.tsv", 80), ("held_out.tsv", 33), ("others.tsv", 20)):
        texts = [" ".join(rng.choice(runs.WORDS, 4)) for _ in range(count)]
        (folder / file).write_text(
            "".join(f"{line}\n" for line in ["label\ttext", *(f"{label(t)}\t{t}" for t in texts)])
        )
    spec = runs.read_spec(folder)
    target = {"num_labels": 4, "dropout": 0.0, "metrics": METRICS, "tune_threshold": "per_class"}
    spec["model"] |= {"target": [{"multi_label": target}], "pooling": "mean"}
    data = {"train": "labelled.tsv", "eval": "held_out.tsv"}
    spec["data"] |= {**data, "processor": {"multi_label": {"max_length": 16, "labels": CLASSES}}}
    spec["train"]["steps"] = 16
    runs.write_spec(folder, spec)
    runs.train(folder, "--run", "each")
    runs.train(folder, "--run", "shared", "model.target.multi_label.tune_threshold=shared")
    return folder


def thresholds(run: Path) -> list[float]:
    found: list[float] = runs.weights(run)[NAME].tolist()
    return found


def decided(run: Path, file: Path) -> tuple[Any, Any]:
    """Labels and probabilities of a file, (rows, classes)."""
    rows = [line.split("\t") for line in file.read_text().splitlines()[1:]]
    labels = np.array([[name in row[0].split(",") for name in CLASSES] for row in rows])
    found = predict(load_model(run, "cpu"), [{"text": row[1]} for row in rows])
    return labels, np.array([[*each["probabilities"].values()] for each in found])


def evaluations(run: Path) -> list[dict[str, Any]]:
    return [line for line in runs.metrics(run) if "eval/loss" in line]


def test_no_other_thresholds_have_a_higher_f1_on_the_evaluation_data(home: Path) -> None:
    labels, scores = decided(home / "each", home / "held_out.tsv")
    for number, threshold in enumerate(thresholds(home / "each")):
        every = [sklearn.f1_score(labels[:, number], scores[:, number] >= each) for each in scores[:, number]]
        found = sklearn.f1_score(labels[:, number], scores[:, number] >= threshold)
        assert found == pytest.approx(max(every))
    labels, scores = decided(home / "shared", home / "held_out.tsv")
    (threshold,) = {*thresholds(home / "shared")}
    best = max(sklearn.f1_score(labels, scores >= each, average="micro") for each in scores.flatten())
    assert sklearn.f1_score(labels, scores >= threshold, average="micro") == pytest.approx(best)
    assert thresholds(home / "each") != thresholds(home / "shared")


@pytest.mark.parametrize("run", ["each", "shared"])
def test_an_evaluation_of_the_training_has_the_figures_of_the_new_thresholds(home: Path, run: str) -> None:
    labels, scores = decided(home / run, home / "held_out.tsv")
    predicted = scores >= np.array(thresholds(home / run))
    expected = {
        "f1_micro": sklearn.f1_score(labels, predicted, average="micro"),
        "f1_macro": sklearn.f1_score(labels, predicted, average="macro"),
        "exact_match": sklearn.accuracy_score(labels, predicted),
        "accuracy": 1 - sklearn.hamming_loss(labels, predicted),
        "average_precision": sklearn.average_precision_score(labels, scores),
    }
    last = evaluations(home / run)[-1]
    assert {name: last[f"eval/multi_label/{name}"] for name in expected} == pytest.approx(expected, rel=1e-6)


def test_tp_evaluate_uses_the_thresholds_of_the_model_and_does_not_change_them(home: Path) -> None:
    last = evaluations(home / "each")[-1]
    model, before = load_model(home / "each", "cpu"), thresholds(home / "each")
    found = evaluate(model, str(home / "held_out.tsv"))
    own = {name: value for name, value in found.items() if name.startswith("multi_label/")}
    assert own == pytest.approx({name: last[f"eval/{name}"] for name in own}, rel=1e-6)
    other = evaluate(model, str(home / "others.tsv"))
    assert model.model.weights()[NAME].tolist() == before
    labels, scores = decided(home / "each", home / "others.tsv")
    expected = sklearn.f1_score(labels, scores >= np.array(before), average="micro")
    assert other["multi_label/f1_micro"] == pytest.approx(expected)
    assert evaluate(model, str(home / "held_out.tsv")) == found


def test_processes_find_the_same_thresholds_as_one(home: Path) -> None:
    still = ["model.dropout=0", "train.steps=3", "train.eval_batch_size=5"]
    runs.train(home, "--run", "one", *still)
    runs.train_pair(home, "--run", "pair", *still)
    assert thresholds(home / "pair") == pytest.approx(thresholds(home / "one"), abs=1e-6)
    (one,), (pair,) = (evaluations(home / run) for run in ("one", "pair"))
    assert pair == {name: pytest.approx(value, abs=1e-6) for name, value in one.items()}
    said = runs.run_group(home, "evaluate", "pair", "--data", "held_out.tsv", "--json")
    found = next(json.loads(line) for line in said.splitlines() if line.startswith("{"))
    assert found["multi_label/f1_macro"] == pytest.approx(pair["eval/multi_label/f1_macro"])


def test_a_process_without_evaluation_batches_gets_the_thresholds_too(home: Path) -> None:
    runs.train_pair(home, "--run", "lone", "train.steps=2", "train.eval_batch_size=64")
    assert thresholds(home / "lone") != [0.5] * 4


def test_a_resumed_run_ends_with_the_same_thresholds(home: Path) -> None:
    runs.train(home, "--run", "half", "train.steps=16", "train.checkpoint_every=8", "train.keep_checkpoints=9")
    shutil.rmtree(home / "half" / "checkpoints" / "step_000016")
    shutil.rmtree(home / "half" / "model")
    runs.train(home, "--run", "half", "train.checkpoint_every=8", "train.keep_checkpoints=9", "--resume")
    runs.assert_same_run(home / "half", home / "each")


def test_the_best_checkpoint_has_the_thresholds_of_its_evaluation(home: Path) -> None:
    stopping = "train.early_stopping={metric: multi_label/f1_micro, patience: 9, min_delta: 0.9}"  # the first is best
    said = runs.train(home, "--run", "best", stopping, "train.checkpoint_every=16", "train.steps=16")
    assert "exporting the weights of step 8, the best evaluation" in said
    first, *_ = evaluations(home / "best")
    found = evaluate(load_model(home / "best", "cpu"), str(home / "held_out.tsv"))
    assert found["multi_label/f1_macro"] == pytest.approx(first["eval/multi_label/f1_macro"], rel=1e-6)
    assert thresholds(home / "best") == runs.checkpoint_weights(home / "best", 8)[NAME].tolist()
    assert thresholds(home / "best") != runs.checkpoint_weights(home / "best", 16)[NAME].tolist()


def test_a_checkpoint_from_before_its_evaluation_is_written_again_with_the_thresholds(home: Path) -> None:
    """A hook's request to save comes between the step and its evaluation."""
    (home / "asks.py").write_text(
        "import os, signal\n"
        "from typing import ClassVar\n"
        "from tp_core import HooksConfig, hookimpl\n"
        "class AsksConfig(HooksConfig):\n"
        "    '''Asks for a checkpoint after step 8.'''\n"
        "    implementation: ClassVar[str] = 'Asks'\n"
        "class Asks:\n"
        "    def __init__(self, config):\n"
        "        pass\n"
        "    @hookimpl\n"
        "    def tp_step_end(self, trainer, step):\n"
        "        if step == 8:\n"
        f"            os.kill(os.getpid(), {int(signal.SIGUSR1)})\n"
    )
    stopping = "train.early_stopping={metric: multi_label/f1_micro, patience: 9, min_delta: 0.9}"
    runs.train(home, "--run", "asked", stopping, "train.checkpoint_every=99", "train.hooks=[asks:AsksConfig]")
    first = evaluations(home / "asked")[0]
    found = evaluate(load_model(home / "asked", "cpu"), str(home / "held_out.tsv"))
    assert found["multi_label/f1_macro"] == pytest.approx(first["eval/multi_label/f1_macro"], rel=1e-6)


def test_the_thresholds_of_several_data_sets_are_found_by_all_of_them(home: Path) -> None:
    spec = runs.read_spec(home)
    own = {key: spec["data"].pop(key) for key in ("train", "eval")}
    spec["data"]["sets"] = {"one": own, "two": {"train": "others.tsv", "eval": "others.tsv"}}
    spec["model"]["target"][0]["multi_label"]["tune_threshold"] = "shared"
    (home / "sets.yaml").write_text(yaml.safe_dump(spec))
    runs.train(home, "--run", "sets", spec="sets.yaml")
    pairs = [decided(home / "sets", home / file) for file in ("held_out.tsv", "others.tsv")]
    labels, scores = (np.concatenate(each) for each in zip(*pairs))
    (threshold,) = {*thresholds(home / "sets")}
    best = max(sklearn.f1_score(labels, scores >= each, average="micro") for each in scores.flatten())
    assert sklearn.f1_score(labels, scores >= threshold, average="micro") == pytest.approx(best)
    last = evaluations(home / "sets")[-1]
    for name, (labels, scores) in zip(("one", "two"), pairs):
        expected = sklearn.f1_score(labels, scores >= threshold, average="micro")
        assert last[f"eval/{name}/multi_label/f1_micro"] == pytest.approx(expected, rel=1e-6)


def test_a_class_without_labels_in_the_evaluation_data_keeps_its_threshold(home: Path) -> None:
    lines = (home / "held_out.tsv").read_text().splitlines()
    kept = [lines[0], *(line for line in lines[1:] if "o" not in line.split("\t")[0].split(","))]
    (home / "some.tsv").write_text("".join(f"{line}\n" for line in kept))
    options = ["data.eval=some.tsv", "model.target.multi_label.threshold=[0.5, 0.5, 0.5, 0.125]", "train.steps=2"]
    runs.train(home, "--run", "some", *options)
    found = thresholds(home / "some")
    assert found[3] == 0.125
    assert found[0] != 0.5


def test_another_run_starts_with_the_thresholds_of_its_model(home: Path) -> None:
    spec = runs.read_spec(home)
    (home / "further.yaml").write_text(yaml.safe_dump({**spec, "init_from": "each", "data": {**spec["data"]}}))
    runs.train(home, "--run", "further", "train.steps=1", "train.optimizer={adamw: {lr: 1e-30}}", spec="further.yaml")
    assert thresholds(home / "further") == pytest.approx(thresholds(home / "each"), abs=1e-6)
    untuned = ["model.target.multi_label.tune_threshold=none", "train.steps=1"]
    runs.train(home, "--run", "fixed", *untuned, spec="further.yaml")
    assert NAME not in runs.weights(home / "fixed")


def test_thresholds_are_found_in_evaluations_which_need_data(home: Path) -> None:
    spec = load_spec(home / "spec.yaml", ["data.eval=null"])
    with pytest.raises(SpecError, match=r"tune_threshold: finds thresholds in evaluations, so it needs data\.eval"):
        check_run(spec)
