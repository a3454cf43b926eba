"""``--resume --allow-change``: real runs that go on with other options."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.core import runs
from tp_core import TPError, load_spec, train

EVAL = "data.eval=held_out.txt"
STOP = "train.hooks=[sudden_death:Config]"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with an undisturbed run, ``calm``, and ``half``, which has checkpoints of the steps 5 and 10 of 20."""
    folder = runs.write_project(tmp_path_factory.mktemp("changes"), log_every=1)
    shutil.copy(Path(__file__).with_name("sudden_death.py"), folder)
    (folder / "death.json").write_text('["step_end", 12]')
    runs.train(folder, "--run", "half", STOP, status=-9)
    runs.train(folder, "--run", "calm")
    return folder


def go_on(home: Path, run: str, *arguments: str, **options: Any) -> str:
    """Go on with a copy of ``half``."""
    shutil.copytree(home / "half", home / run)
    return runs.train(home, "--run", run, "--resume", *arguments, **options)


def column(home: Path, run: str, name: str) -> dict[int, Any]:
    return {line["step"]: line[name] for line in runs.metrics(home / run) if name in line}


def changes(home: Path, run: str) -> list[dict[str, Any]]:
    path = home / run / "changes.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_without_leave_nothing_is_written(home: Path) -> None:
    before = {path: path.read_bytes() for path in (home / "half").rglob("*") if path.is_file()}
    said = runs.train(home, "--run", "half", "--resume", "train.optimizer.adamw.lr=0.1", status=2)
    assert "half/checkpoints/step_000010: the spec differs from that of the checkpoint" in said
    assert "train.optimizer.adamw.lr (was 0.01, is 0.1): the schedule continues at the same position" in said
    assert "(--allow-change lr; the result is then no longer that of one uninterrupted run)" in said
    assert {path: path.read_bytes() for path in (home / "half").rglob("*") if path.is_file()} == before


def test_a_learning_rate_is_the_peak_of_the_schedule_from_the_checkpoint_on(home: Path) -> None:
    said = go_on(home, "lr", "train.optimizer.adamw.lr=0.002", "--allow-change", "lr")
    assert "from step 10 on, the run is no longer that of an uninterrupted one:" in said
    # A warm-up of 2 of 20 steps, then a straight line to 0; update s, from 0, is logged as step s + 1.
    factors = {s + 1: s / 2 if s < 2 else 1 - (s - 2) / 18 for s in range(20)}
    expected = {step: factor * (0.01 if step <= 10 else 0.002) for step, factor in factors.items()}
    assert column(home, "lr", "lr") == pytest.approx(expected)
    assert changes(home, "lr") == [{"step": 10, "option": "train.optimizer.adamw.lr", "old": 0.01, "new": 0.002}]
    assert runs.read_spec(home / "lr")["train"]["optimizer"]["adamw"]["lr"] == 0.002
    first = [line for line in runs.metrics(home / "lr") if line["step"] <= 10]
    assert first == runs.metrics(home / "calm")[:10]


def test_options_of_the_optimizer_hold_although_its_state_is_loaded(home: Path) -> None:
    given = "train.optimizer.adamw={lr: 0.01, weight_decay: 0.5, betas: [0.5, 0.9]}"
    go_on(home, "decay", given, "--allow-change", "weight_decay,betas")
    go_on(home, "betas", "train.optimizer.adamw.betas=[0.5, 0.9]", "--allow-change", "betas")
    decayed, other, calm = (column(home, run, "loss")[14] for run in ("decay", "betas", "calm"))
    assert decayed != other != calm
    assert column(home, "decay", "loss")[11] == column(home, "calm", "loss")[11]  # of the weights of the checkpoint
    assert column(home, "decay", "loss")[12] != column(home, "calm", "loss")[12]


def test_a_batch_size_goes_on_behind_the_samples_seen(home: Path) -> None:
    go_on(home, "batch", "train.batch_size=4", "--allow-change", "batch_size")
    samples = column(home, "batch", "samples")
    assert samples == {step: 8 * step if step <= 10 else 80 + 4 * (step - 10) for step in range(1, 21)}
    assert column(home, "batch", "epoch") == {step: seen / 67 for step, seen in samples.items()}


def test_epochs_stay_as_long_when_the_batch_size_changes(home: Path) -> None:
    spec = runs.read_spec(home)
    del spec["train"]["steps"]
    (home / "epochs.yaml").write_text(json.dumps(spec))
    options: dict[str, Any] = {"spec": "epochs.yaml"}
    (home / "death.json").write_text('["step_end", 12]')
    runs.train(home, "--run", "epochs", STOP, "train.epochs=3", status=-9, **options)
    change = ["train.epochs=3", "train.batch_size=16", "--allow-change", "batch_size"]
    runs.train(home, "--run", "epochs", "--resume", *change, **options)
    last = runs.metrics(home / "epochs")[-1]
    assert last["step"] == 10 + math.ceil((3 * 67 - 80) / 16)
    assert last["epoch"] >= 3 > last["epoch"] - 16 / 67
    # 26 steps of 8 with a warm-up of 3: the rate follows the samples, in steps of 8.
    for step, rate in column(home, "epochs", "lr").items():
        done = step - 1 if step <= 10 else 10 + 2 * (step - 11)
        assert rate == pytest.approx(0.01 * (done / 3 if done < 3 else 1 - (done - 3) / 23))


def test_a_longer_run_has_the_longer_schedule_and_no_second_warm_up(home: Path) -> None:
    said = go_on(home, "longer", "train.steps=60", "--allow-change", "steps", "train.log_every=1", "train.loggers=[]")
    assert "resuming longer at step 10 of 60" in said
    rates = column(home, "longer", "lr")
    assert rates[11] == pytest.approx(0.01 * (1 - (10 - 2) / 58))  # a tenth of 60 steps would be 6
    assert all(rates[step] > rates[step + 1] for step in range(11, 60))


@pytest.mark.slow
def test_a_change_before_a_kill_holds_without_being_allowed_again(home: Path) -> None:
    given = ["train.clip_norm=0.1"]
    shutil.copytree(home / "half", home / "again")
    (home / "death.json").write_text('["step_end", 12]')
    runs.train(home, "--run", "again", "--resume", STOP, *given, "--allow-change", "clip_norm", status=-9)
    runs.train(home, "--run", "again", "--resume", *given)
    go_on(home, "once", *given, "--allow-change=clip_norm")
    runs.assert_same_run(home / "again", home / "once")
    assert changes(home, "again") == [{"step": 10, "option": "train.clip_norm", "old": 1.0, "new": 0.1}]


@pytest.mark.slow
def test_going_back_to_what_the_checkpoint_was_made_with_is_no_change(home: Path) -> None:
    shutil.copytree(home / "half", home / "back")
    (home / "death.json").write_text('["step_end", 12]')
    runs.train(home, "--run", "back", "--resume", STOP, "train.clip_norm=0.1", "--allow-change", "clip_norm", status=-9)
    runs.train(home, "--run", "back", "--resume")
    runs.assert_same_run(home / "back", home / "calm")
    assert changes(home, "back") == []


@pytest.mark.slow
def test_several_changes_at_several_steps_are_all_kept(home: Path) -> None:
    shutil.copytree(home / "half", home / "several")
    (home / "death.json").write_text('["step_end", 17]')
    first = ["train.clip_norm=null", "train.accumulate=2"]
    runs.train(home, "--run", "several", "--resume", STOP, *first, "--allow-change", "clip_norm,accumulate", status=-9)
    runs.train(home, "--run", "several", "--resume", *first, "train.schedule=constant", "--allow-change", "schedule")
    assert [(each["step"], each["option"], each["old"]) for each in changes(home, "several")] == [
        (10, "train.accumulate", 1),
        (10, "train.clip_norm", 1.0),
        (15, "train.schedule", {"linear": {"warmup": 0.1, "final": 0.0}}),
    ]


@pytest.mark.slow
def test_another_number_of_processes_is_said_and_kept(home: Path) -> None:
    shutil.copytree(home / "half", home / "pair")
    said = runs.train_pair(home, "--run", "pair", "--resume")
    assert said.count("processes (was 1, is 2): rounding and dropout differ") == 1
    assert changes(home, "pair") == [{"step": 10, "option": "processes", "old": 1, "new": 2}]


@pytest.mark.slow
def test_at_the_beginning_of_a_run_everything_may_change(home: Path) -> None:
    (home / "death.json").write_text('["step_end", 2]')
    runs.train(home, "--run", "early", STOP, status=-9)
    said = runs.train(home, "--run", "early", "--resume", "train.batch_size=4", "model.dropout=0", "train.seed=3")
    assert "early has no checkpoint yet; starting from the beginning" in said
    assert changes(home, "early") == []


@pytest.mark.slow
def test_another_metric_of_early_stopping_counts_its_best_anew(home: Path) -> None:
    options = [EVAL, "train.eval_every=5"]
    stopping = "train.early_stopping={{metric: {}, patience: 9}}"
    (home / "death.json").write_text('["step_end", 12]')
    runs.train(home, "--run", "best", STOP, *options, stopping.format("loss"), status=-9)
    change = stopping.format("mlm/accuracy")
    runs.train(home, "--run", "best", "--resume", *options, change, "--allow-change", "metric")
    state = torch.load(home / "best" / "checkpoints" / "step_000020" / "trainer.pt", weights_only=True)["best"]
    seen = {line["step"]: line["eval/mlm/accuracy"] for line in runs.metrics(home / "best") if "eval/loss" in line}
    assert state["step"] == max((15, 20), key=lambda step: seen[step])


def test_keys_that_name_nothing_or_what_cannot_change_are_refused(home: Path) -> None:
    said = runs.train(home, "--run", "half", "--resume", "--allow-change", "learning_rates,lr", status=2)
    assert "--allow-change learning_rates: the spec has no such option" in said
    said = runs.train(home, "--run", "half", "--resume", "--allow-change", "seed", status=2)
    assert "--allow-change seed: train.seed cannot change on --resume: it determines the order of samples" in said
    said = runs.train(home, "--run", "new", "--allow-change", "lr", status=2)
    assert "give --resume with it" in said


def test_the_call_from_python_takes_the_same_keys(home: Path) -> None:
    shutil.copytree(home / "half", home / "python")
    spec = load_spec(home / "spec.yaml", ["train.optimizer.adamw.lr=0.002"])
    with pytest.raises(TPError, match=r"train\.optimizer\.adamw\.lr \(was 0\.01, is 0\.002\)"):
        train(spec, home / "python", resume=True)
    assert train(spec, home / "python", resume=True, allow_change=["lr"]).step == 20


# -- what only the beginning needs ----------------------------------------------------------------------------------


def test_a_run_goes_on_without_the_model_that_it_started_from(home: Path) -> None:
    shutil.copytree(home / "calm" / "model", home / "start")
    given = "init_from=start"
    (home / "death.json").write_text('["step_end", 12]')
    runs.train(home, "--run", "from", STOP, given, status=-9)
    (home / "death.json").write_text('["step_end", 2]')
    runs.train(home, "--run", "from-early", STOP, given, status=-9)
    shutil.rmtree(home / "start")
    assert "resuming from at step 10 of 20" in runs.train(home, "--run", "from", "--resume", given)
    said = runs.train(home, "--run", "from-early", "--resume", given, status=2)
    assert "there is no model at " in said
    assert "the run has no checkpoint yet, and begins with its weights" in said


@pytest.mark.slow
def test_another_model_to_start_from_is_said_to_have_no_effect(home: Path) -> None:
    said = go_on(home, "no-effect", "init_from=calm")
    assert "init_from (was unset, is " in said
    assert "it has no effect: the run continues from its checkpoint" in said
    runs.assert_same_run(home / "no-effect", home / "calm")
