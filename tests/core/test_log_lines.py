"""A log line covers the steps since the line before, also where the run was interrupted between the two."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.core import runs
from tp_core import load_spec
from tp_core.training.speed import Speed

#: Lines of the steps 1 to 6, 7 to 12 and 13 to 16; the run ends behind step 10, and step 9 is not finite.
OPTIONS: dict[str, Any] = {
    "steps": 16,
    "log_every": 6,
    "checkpoint_every": 50,
    "eval_every": 8,
    "on_nan": "skip",
    "hooks": [{"interruption:Interruption": {"step": 10}}],
    "early_stopping": {"metric": "labelled/cls/f1", "patience": 9},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two data sets in turn, without dropout: runs of one and of two processes, whole and interrupted."""
    folder = runs.write_project(tmp_path_factory.mktemp("lines"), **OPTIONS)
    shutil.copy(Path(__file__).with_name("interruption.py"), folder)
    lines = [f"{runs.WORDS[n % 50]} {runs.WORDS[n % 50 + 1]}\t{n % 3 % 2}" for n in range(60)]
    (folder / "labelled.tsv").write_text("\n".join(["text\tlabel", *lines]) + "\n")
    spec = runs.read_spec(folder)
    spec["model"] |= {
        "dropout": 0.0,
        "target": ["mlm", "sp", {"cls": {"metrics": ["accuracy", "f1"]}}, {"interruption:Config": {"step": 9}}],
    }
    bert = {"processor": spec["data"].pop("processor"), "train": spec["data"].pop("train"), "eval": "held_out.txt"}
    spec["data"]["sets"] = {
        "running": {**bert, "targets": ["mlm", "sp", "interruption:Config"]},
        "labelled": {
            "processor": {"cls": {"max_length": 16}},
            "train": "labelled.tsv",
            "eval": "labelled.tsv",
            "targets": ["cls", "interruption:Config"],
        },
    }
    runs.write_spec(folder, spec)
    for run, train in (("one", runs.train), ("two", runs.train_pair)):
        train(folder, "--run", run)
        (folder / "stop").touch()
        assert "the run is saved" in train(folder, "--run", f"{run}-ended")
        assert runs.checkpoints(folder / f"{run}-ended")[-1] == "step_000010"
        assert not (folder / "stop").exists()
    return folder


def test_the_run_is_one_that_could_go_wrong(home: Path) -> None:
    lines = runs.metrics(home / "one")
    assert [line["step"] for line in lines if "loss" in line] == [6, 12, 16]
    window = next(line for line in lines if line["step"] == 12)
    assert window.keys() >= {
        "loss/mlm",
        "loss/cls",
        "cls/f1",
        "cls/accuracy",
        "mlm/accuracy",
        "loss/interruption:Config",
    }
    assert all(value is not None for value in window.values()), "the bad step is left out"
    evaluated = [line for line in lines if "eval/loss" in line]
    assert [line["step"] for line in evaluated] == [8, 16]
    assert evaluated[0].keys() >= {"eval/loss/labelled/cls", "eval/labelled/cls/f1", "eval/running/mlm/accuracy"}


@pytest.mark.parametrize(("before", "after"), [("one", "one"), ("two", "two"), ("two", "one"), ("one", "two")])
def test_an_interrupted_run_writes_the_lines_of_an_uninterrupted_one(home: Path, before: str, after: str) -> None:
    train: Callable[..., str] = {"one": runs.train, "two": runs.train_pair}[after]
    run = home / f"{before}-{after}"
    shutil.copytree(home / f"{before}-ended", run)
    train(home, "--run", run.name, "--resume")
    found, expected = runs.metrics(run), runs.metrics(home / after)
    if before == after:
        assert found == expected
        return
    assert [[*line] for line in found] == [[*line] for line in expected]
    assert found == [pytest.approx(line, rel=1e-4) for line in expected]
    # What is counted is the same to the last digit.
    for name in ("cls/f1", "cls/accuracy"):
        assert [line.get(name) for line in found] == [line.get(name) for line in expected]


def test_a_line_without_the_steps_before_the_checkpoint_would_be_another(home: Path) -> None:
    """Each step by itself, so that the means of the window can be told from those of a part of it."""
    runs.train(home, "--run", "each", "train.log_every=1")
    each = {line["step"]: line for line in runs.metrics(home / "each") if "loss" in line}
    window = next(line for line in runs.metrics(home / "one-ended") + runs.metrics(home / "one") if line["step"] == 12)
    good = [each[step]["loss"] for step in range(7, 13) if step != 9]
    assert each[9]["loss"] is None
    assert window["loss"] == pytest.approx(sum(good) / len(good), rel=1e-6)
    assert window["loss"] != pytest.approx(sum(good[-2:]) / 2, rel=1e-3)
    assert (window["grad_norm"], window["lr"]) == (each[12]["grad_norm"], each[12]["lr"])


def test_the_speed_of_a_line_is_that_of_all_its_steps(home: Path) -> None:
    spec, device = load_spec(home / "spec.yaml"), torch.device("cpu")
    states = [{"tokens": 3000, "samples": 60, "steps": 4, "seconds": 1000.0}] * 2
    for world_size, parts in ((2, states[:1]), (1, states)):
        speed = Speed(spec, device, world_size, world_size)
        speed.load(parts, processes=1 if len(parts) == 1 else world_size)
        speed.start()
        found = speed.read()
        assert found["tokens_per_second"] == pytest.approx(6.0, rel=1e-2)
        assert found["samples_per_second"] == pytest.approx(0.12, rel=1e-2)
        assert speed.left(4) == pytest.approx(1000, rel=1e-2)
        assert speed.read()["tokens_per_second"] == 0
    speed = Speed(spec, device, 1, 1)
    speed.load(states[:1])
    speed.start()
    assert speed.state() == {"tokens": 3000, "samples": 60, "steps": 4, "seconds": pytest.approx(1000, rel=1e-2)}


def test_other_metrics_of_a_classifier_can_be_asked_for_on_the_way(home: Path) -> None:
    shutil.copytree(home / "one-ended", home / "asked")
    runs.train(home, "--run", "asked", "--resume", "model.target.cls.metrics=[f1, matthews]")
    runs.assert_same_weights(runs.weights(home / "asked"), runs.weights(home / "one"))
    last, expected = (runs.metrics(home / run)[-1] for run in ("asked", "one"))
    assert last["eval/labelled/cls/f1"] == expected["eval/labelled/cls/f1"]
    assert -1 <= last["eval/labelled/cls/matthews"] <= 1
    assert "eval/labelled/cls/accuracy" not in last


def test_another_metric_or_mode_forgets_the_best_one_and_says_so(home: Path) -> None:
    shutil.copytree(home / "one-ended", home / "judged")
    change = ["train.early_stopping={metric: loss, patience: 9}", "--allow-change", "early_stopping"]
    said = runs.train(home, "--run", "judged", "--resume", *change)
    expected = "the best labelled/cls/f1 (max) so far, of step 8, does not count: evaluations are judged by loss (min)"
    assert said.count(f"{expected} from here on") == 1
    # The evaluation of step 16 is the only one that counts, so that its weights are the last and the best.
    assert "the best evaluation" not in said.replace(expected, "")
    shutil.copytree(home / "one-ended", home / "halved")
    change = ["train.eval_batches=1", "--allow-change", "eval_batches"]
    said = runs.train(home, "--run", "halved", "--resume", *change)
    assert "of step 8, does not count: evaluations are made differently from here on" in said


def test_other_held_out_data_forget_the_best_one(home: Path) -> None:
    shutil.copytree(home / "one-ended", home / "other")
    lines = (home / "labelled.tsv").read_text().splitlines()
    (home / "other.tsv").write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    change = ["data.sets.labelled.eval=other.tsv", "--allow-change", "eval"]
    said = runs.train(home, "--run", "other", "--resume", *change)
    assert "of step 8, does not count: evaluations are made differently from here on" in said
