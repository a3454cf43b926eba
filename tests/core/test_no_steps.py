"""A run without steps evaluates and exports its initial model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.core import runs

EVAL = "data.eval=held_out.txt"
FROM = "init_from=trained"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a run ``trained`` of 4 steps."""
    folder = runs.write_project(tmp_path_factory.mktemp("none"), steps=4)
    runs.train(folder, "--run", "trained", EVAL)
    return folder


def evaluation(run: Path) -> dict[str, float]:
    (found,) = (each for each in runs.metrics(run) if "eval/loss" in each)
    return {name: value for name, value in found.items() if name.startswith("eval/")}


@pytest.mark.parametrize("length", [["train.steps=0"], ["train.steps=null", "train.epochs=0"]])
@pytest.mark.parametrize("data", [[], ["data.train=null"]])
def test_it_gives_the_figures_and_the_weights_of_the_model_that_it_begins_with(
    home: Path, length: list[str], data: list[str]
) -> None:
    run = home / f"none-{len(length)}-{len(data)}"
    said = runs.train(home, "--run", str(run), FROM, EVAL, *length, *data)
    assert "0 steps of 8 samples" in said
    assert "step 0  evaluation  loss" in said
    assert runs.metrics(run)[-1]["step"] == 0
    assert evaluation(run) == evaluation(home / "trained")
    runs.assert_same_weights(runs.weights(run), runs.weights(home / "trained"))
    again = runs.run_tp(home, "evaluate", str(run), "--data", "held_out.txt", "--json", "--batch-size", "8")
    figures = json.loads(next(line for line in again.splitlines() if line.startswith("{")))
    assert figures["loss"] == pytest.approx(evaluation(run)["eval/loss"], abs=1e-6)


def test_without_evaluation_data_it_only_exports(home: Path) -> None:
    runs.train(home, "--run", "exported", FROM, "train.steps=0")
    runs.assert_same_weights(runs.weights(home / "exported"), runs.weights(home / "trained"))


def test_resumed_it_is_complete_and_evaluates_no_second_time(home: Path) -> None:
    options = ["--run", "twice", FROM, EVAL, "train.steps=0"]
    runs.train(home, *options)
    before = runs.metrics(home / "twice")
    assert "the run is complete at step 0" in runs.train(home, *options, "--resume")
    assert runs.metrics(home / "twice") == before


def test_resumed_with_steps_it_trains_as_a_run_that_had_them_from_the_start(home: Path) -> None:
    """The warm-up of the schedule is that of the steps, and not that of none."""
    options = [FROM, EVAL, "train.schedule={linear: {warmup: 0.5}}"]
    runs.train(home, "--run", "later", *options, "train.steps=0")
    runs.train(home, "--run", "later", *options, "train.steps=4", "--resume", "--allow-change", "steps")
    runs.train(home, "--run", "whole", *options, "train.steps=4")
    runs.assert_same_weights(runs.weights(home / "later"), runs.weights(home / "whole"))


@pytest.mark.parametrize("name", ["constant", "cosine", "inverse_sqrt", "tri_stage", "warmup_stable_decay"])
def test_every_schedule_allows_it(home: Path, name: str) -> None:
    runs.train(home, "--run", name, FROM, EVAL, "train.steps=0", f"train.schedule={name}")
    assert evaluation(home / name) == evaluation(home / "trained")


def test_early_stopping_knows_its_evaluation_as_the_best(home: Path) -> None:
    runs.train(home, "--run", "stop", FROM, EVAL, "train.steps=0", "train.early_stopping={metric: loss}")
    runs.assert_same_weights(runs.weights(home / "stop"), runs.weights(home / "trained"))


def test_with_steps_training_data_are_required(home: Path) -> None:
    assert "data.train: is required: the files to train on" in runs.train(
        home, "--run", "no-data", "data.train=null", status=2
    )
