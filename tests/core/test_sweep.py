"""``tp sweep`` with real runs: results, a failing run, signals, and predictions for held-out records."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tp_core
from tests.core import reviews, runs
from tp_core.data.sources.records import read_records

LR = "train.optimizer.adamw.lr"


def jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def ended(process: runs.Run, status: int) -> str:
    """The output of a sweep, which must end with a status. Each of its runs starts a new interpreter."""
    found = process.wait(300)
    assert found == status, process.said()
    return process.said()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a finished sweep ``folds``, two of whose four runs have failed."""
    folder = reviews.write_project(tmp_path_factory.mktemp("sweep"), steps=20, eval_every=10)
    arguments = ["train.clip_norm=null", "--grid", f"{LR}=0.05,1e30", "--folds", "2", "--parallel", "2"]
    said = ended(runs.start_tp(folder, "sweep", "spec.yaml", *arguments, "--run", "folds"), 1)
    (folder / "said.txt").write_text(said)
    return folder


def test_a_failing_run_is_listed_with_its_message_and_the_others_go_on(home: Path) -> None:
    rows = {row["run"]: row for row in jsonl(home / "folds" / "results.jsonl")}
    assert {name: row["status"] for name, row in rows.items()} == {
        "lr=0.05_fold=0": "finished",
        "lr=0.05_fold=1": "finished",
        "lr=1e+30_fold=0": "failed",
        "lr=1e+30_fold=1": "failed",
    }
    assert "the loss of target 'cls' is not finite" in rows["lr=1e+30_fold=1"]["message"]
    said = (home / "said.txt").read_text()
    assert "4 runs (2 combinations × 2 folds, each evaluated on the held-out fold) in folds" in said
    assert "2 of 4 runs are not finished: lr=1e+30_fold=0 (failed), lr=1e+30_fold=1 (failed)" in said
    assert f"best by cls/accuracy: train.clip_norm=null {LR}=0.05" in said
    assert "Traceback" not in said
    assert not list((home / "folds" / "out_of_fold").glob("lr=1e*"))


def test_the_figures_are_those_of_the_runs_and_a_run_is_that_of_tp_train(home: Path) -> None:
    (row,) = (row for row in jsonl(home / "folds" / "results.jsonl") if row["run"] == "lr=0.05_fold=1")
    last = runs.metrics(home / "folds" / row["run"])[-1]
    assert (row["step"], row["cls/accuracy"], row["loss"]) == (20, last["eval/cls/accuracy"], last["eval/loss"])
    fold = {"of": ["train.tsv"], "folds": 2, "number": 1, "stratify": "label"}
    data = [f"data.train={json.dumps({'fold': fold})}", f"data.eval={json.dumps({'fold': fold | {'held_out': True}})}"]
    runs.run_tp(home, "train", "spec.yaml", *data, "train.clip_norm=null", f"{LR}=0.05", "--run", "alone")
    runs.assert_same_run(home / "folds" / row["run"], home / "alone")


def test_each_record_is_predicted_in_order_by_the_model_that_has_not_seen_it(home: Path) -> None:
    rows = jsonl(home / "folds" / "out_of_fold" / "lr=0.05.jsonl")
    records = [record.value for record in read_records([str(home / "train.tsv")])]
    assert [row["row"] for row in rows] == list(range(1, len(records) + 1))
    labels = [record["label"] for record in records]
    for fold in range(2):
        assert abs(sum(row["fold"] == fold for row in rows) - len(rows) / 2) <= 1
        model = home / "folds" / f"lr=0.05_fold={fold}"
        found = list(tp_core.predict(model, [{"text_a": record["text_a"]} for record in records]))
        for row, prediction in zip(rows, found):
            if row["fold"] == fold:
                assert row["label"] == prediction["label"]
                np.testing.assert_allclose(
                    [*row["probabilities"].values()], [*prediction["probabilities"].values()], atol=1e-6
                )
    metrics = json.loads((home / "folds" / "out_of_fold" / "lr=0.05.metrics.json").read_text())
    right = [row["label"] == label for row, label in zip(rows, labels)]
    assert metrics["cls/accuracy"] == pytest.approx(np.mean(right))
    losses = [-np.log(row["probabilities"][label]) for row, label in zip(rows, labels)]
    assert metrics["loss"] == pytest.approx(np.mean(losses), abs=1e-5)
    (summary,) = (line for line in (home / "folds" / "summary.tsv").read_text().splitlines() if line.startswith("*"))
    assert f"{metrics['cls/accuracy']:.6g}" in summary.split("\t")


def test_a_stopped_sweep_goes_on_with_the_interrupted_runs_and_keeps_the_finished_ones(home: Path) -> None:
    arguments = ["sweep", "spec.yaml", "train.checkpoint_every=null", "--grid", "train.steps=4,4000,5000"]
    arguments += ["--run", "stopped"]
    process = runs.start_tp(home, *arguments)
    log = home / "stopped" / "logs" / "steps=4000.log"
    process.wait_for(lambda: log.exists() and "step 20/4000" in log.read_text(), seconds=120)
    process.kill(signal.SIGTERM)
    assert "stopped; 1 of 3 runs are finished, and the sweep goes on with --resume" in ended(process, 143)
    assert "stopped on SIGTERM at step" in log.read_text()
    rows = [row["status"] for row in jsonl(home / "stopped" / "results.jsonl")]
    assert rows == ["finished", "stopped", "waiting"]
    again = [each.replace("5000", "200") for each in arguments]
    assert "holds another sweep" in runs.run_tp(home, *again, "--resume", status=2)
    kept = (home / "stopped" / "steps=4" / "metrics.jsonl").stat().st_mtime_ns
    process = runs.start_tp(home, *arguments, "--resume")
    process.wait_for(lambda: "resuming" in log.read_text(), seconds=60)
    assert process.said().count("begins\n") == 0
    assert process.said().count("goes on\n") == 1
    assert (home / "stopped" / "steps=4" / "metrics.jsonl").stat().st_mtime_ns == kept
    process.kill(signal.SIGINT)
    ended(process, 130)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not tell a process of such an end")
def test_the_runs_of_a_sweep_that_is_killed_save_their_state(home: Path) -> None:
    process = runs.start_tp(home, "sweep", "spec.yaml", "--grid", "train.steps=5000", "--run", "killed")
    log = home / "killed" / "logs" / "steps=5000.log"
    process.wait_for(lambda: log.exists() and "step 20/5000" in log.read_text(), seconds=120)
    process.kill(signal.SIGKILL)
    process.wait()
    process.wait_for(lambda: "stopped on SIGTERM at step" in log.read_text())


def test_a_finished_sweep_is_told_again_without_training(home: Path) -> None:
    arguments = ["sweep", "spec.yaml", "--grid", "train.steps=3", "--run", "again"]
    first = ended(runs.start_tp(home, *arguments), 0)
    again = ended(runs.start_tp(home, *arguments, "--resume"), 0)
    assert again.splitlines()[-2:] == first.splitlines()[-2:]
    assert "begins" not in again
    assert "goes on" not in again
