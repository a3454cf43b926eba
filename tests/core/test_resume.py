"""A run that is killed anywhere and resumed ends as if nothing had happened, bit for bit."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.core import runs

#: Log lines that fall between checkpoints and evaluations between both; an epoch is 8.4 steps.
OPTIONS: dict[str, Any] = {
    "steps": 44,
    "log_every": 3,
    "checkpoint_every": 4,
    "eval_every": 6,
    "early_stopping": {"patience": 50},
    "hooks": ["sudden_death:Config"],
}


def project(folder: Path) -> Path:
    runs.write_project(folder, **OPTIONS)
    spec = runs.read_spec(folder)
    spec["data"]["eval"] = "held_out.txt"
    runs.write_spec(folder, spec)
    shutil.copy(Path(__file__).with_name("sudden_death.py"), folder)
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with an undisturbed run in ``calm``."""
    folder = project(tmp_path_factory.mktemp("resume"))
    runs.train(folder, "--run", "calm")
    return folder


def assert_as_calm(home: Path, run: str, calm: str = "calm") -> None:
    runs.assert_same_run(home / run, home / calm)
    last = OPTIONS["steps"]
    runs.assert_same_weights(runs.checkpoint_weights(home / run, last), runs.checkpoint_weights(home / calm, last))


def die_at(home: Path, event: str, number: int, *arguments: str) -> int:
    """Start or continue a run that kills itself; its exit status: -9, or 0 if it ended first."""
    (home / "death.json").write_text(json.dumps([event, number]))
    run = runs.start(home, "--resume", *arguments)
    status = run.wait()
    assert status in (0, -signal.SIGKILL), run.said()
    return status


def test_the_undisturbed_run_is_one_that_could_go_wrong(home: Path) -> None:
    lines = runs.metrics(home / "calm")
    assert lines[-1]["epoch"] > 5
    assert any(line["step"] % 4 for line in lines if "loss" in line), "log lines fall between checkpoints"
    assert any("eval/loss" in line for line in lines)
    dropout = yaml.safe_load((home / "calm" / "spec.yaml").read_text())["model"]["encoder"]["transformer"]["dropout"]
    assert dropout > 0


def test_a_run_killed_at_every_change_of_a_file_while_saving_ends_the_same(home: Path) -> None:
    kills = 0
    while die_at(home, "file", kills + 1, "--run", "files"):
        kills += 1
    assert kills >= 12, "a save changes at least that many files and folders"
    assert_as_calm(home, "files")


def test_a_run_killed_at_random_changes_of_any_file_ends_the_same(home: Path) -> None:
    choose = random.Random(3)
    kills = sum(die_at(home, "any file", choose.randint(1, 60), "--run", "any") != 0 for _ in range(10))
    assert kills >= 5
    runs.train(home, "--run", "any", "--resume")
    assert_as_calm(home, "any")


def test_a_run_killed_between_steps_and_before_saving_ends_the_same(home: Path) -> None:
    moments = [("step_end", 1), ("step_end", 7), ("save", 8), ("step_end", 17), ("save", 32), ("save", 44)]
    for event, number in moments:
        assert die_at(home, event, number, "--run", "steps") == -signal.SIGKILL
    runs.train(home, "--run", "steps", "--resume")
    assert_as_calm(home, "steps")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_killed_at_random_moments_ends_the_same(home: Path, workers: int) -> None:
    choose, name = random.Random(workers), f"random-{workers}"
    for kill, step in enumerate((3, 9, 15, 24, 33)):
        run = runs.start(home, "--run", name, f"train.workers={workers}", *(["--resume"] if kill else []))
        run.wait_for(f"step {step}/")
        time.sleep(choose.uniform(0, 0.03))
        run.kill()
        assert run.wait() == -signal.SIGKILL
    runs.train(home, "--run", name, f"train.workers={workers}", "--resume")
    assert_as_calm(home, name)


@pytest.mark.slow
def test_a_killed_run_ends_the_same_with_more_steps_accumulated_and_an_unclipped_optimizer(home: Path) -> None:
    changed = ["train.accumulate=4", "train.clip_norm=null", "train.optimizer={sgd: {lr: 0.05}}"]
    runs.train(home, "--run", "calm-sgd", *changed)
    for event, number in [("step_end", 10), ("file", 5)]:
        assert die_at(home, event, number, "--run", "sgd", *changed) == -signal.SIGKILL
    runs.train(home, "--run", "sgd", "--resume", *changed)
    assert_as_calm(home, "sgd", "calm-sgd")


def test_resuming_a_complete_run_changes_nothing(home: Path) -> None:
    shutil.copytree(home / "calm", home / "again")
    said = runs.train(home, "--run", "again", "--resume")
    assert "the run is complete" in said
    assert_as_calm(home, "again")


def test_a_run_killed_while_exporting_is_exported_on_resume(home: Path) -> None:
    shutil.copytree(home / "calm", home / "export")
    shutil.rmtree(home / "export" / "model")
    (home / "export" / ".tmp-model").mkdir()
    runs.train(home, "--run", "export", "--resume")
    assert_as_calm(home, "export")
    assert not (home / "export" / ".tmp-model").exists()


@pytest.mark.slow
def test_more_steps_after_a_complete_run_end_like_a_run_of_that_length_with_a_constant_rate(home: Path) -> None:
    constant = "train.schedule=constant"
    runs.train(home, "--run", "long", constant, "train.steps=24")
    runs.train(home, "--run", "short", constant, "train.steps=12")
    longer = [constant, "train.steps=24", "--allow-change", "steps"]
    assert die_at(home, "step_end", 20, "--run", "short", *longer) == -signal.SIGKILL
    runs.train(home, "--run", "short", "--resume", constant, "train.steps=24")
    runs.assert_same_weights(runs.weights(home / "short"), runs.weights(home / "long"))


def test_a_run_that_stopped_early_stays_stopped_on_resume(home: Path) -> None:
    early = ["train.early_stopping={patience: 1, min_delta: 9.0}", "train.eval_every=4"]
    said = runs.train(home, "--run", "early", *early)
    assert "stopped early" in said
    before = runs.weights(home / "early"), runs.metrics(home / "early")
    assert before[1][-1]["step"] == 8
    shutil.rmtree(home / "early" / "model")
    runs.train(home, "--run", "early", "--resume", *early)
    runs.assert_same_weights(runs.weights(home / "early"), before[0])
    assert runs.metrics(home / "early") == before[1]


def test_resuming_where_nothing_was_saved_starts_from_the_beginning(home: Path) -> None:
    assert die_at(home, "step_end", 2, "--run", "first") == -signal.SIGKILL
    said = runs.train(home, "--run", "first", "--resume")
    assert "no checkpoint yet" in said
    assert_as_calm(home, "first")


def test_a_killed_run_that_the_real_command_line_resumes_ends_the_same(home: Path) -> None:
    assert die_at(home, "step_end", 12, "--run", "real") == -signal.SIGKILL
    ended = runs.command("-m", "tp_core", "train", "spec.yaml", "--run", "real", "--resume", folder=home)
    assert ended.returncode == 0, ended.stderr
    assert "resuming real at step" in ended.stderr
    assert_as_calm(home, "real")


def test_a_checkpoint_restores_every_random_state(home: Path) -> None:
    own = torch.load(home / "calm" / "checkpoints" / "step_000044" / "rank-0.pt", weights_only=True)
    assert {"python", "numpy", "torch"} <= own["random"].keys()
