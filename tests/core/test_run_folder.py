"""Tests of a run's calls of its hooks, of the files that it writes, and of the folders that it refuses."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.core import runs
from tp_core.training.folder import RunFolder

RECORDER = "train.hooks=[recorder:Config]"
EVAL = "data.eval=held_out.txt"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with an undisturbed run, ``calm``."""
    folder = runs.write_project(tmp_path_factory.mktemp("runs"))
    for helper in ("nan_target.py", "recorder.py", "sudden_death.py", "broken_processor.py"):
        shutil.copy(Path(__file__).with_name(helper), folder)
    runs.train(folder, "--run", "calm")
    return folder


# -- hooks ----------------------------------------------------------------------------------------------------------


def calls(home: Path) -> list[dict[str, Any]]:
    """The calls that the recorder wrote since the last time that this was asked."""
    file = home / "calls.jsonl"
    found = [json.loads(line) for line in file.read_text().splitlines()]
    file.unlink()
    return found


def test_hooks_are_called_in_order_with_what_they_need(home: Path) -> None:
    changes = [RECORDER, EVAL, "train.steps=4", "train.eval_every=2", "train.checkpoint_every=3"]
    (home / "calls.jsonl").unlink(missing_ok=True)
    runs.train(home, "--run", "hooks", *changes)
    metrics = ["loss", "loss/mlm", "loss/sp", "mlm/accuracy", "sp/accuracy"]
    assert calls(home) == [
        {"hook": "check", "spec": "spec"},
        {"hook": "model_built", "model": "Model", "spec": "spec"},
        {"hook": "parameter_groups", "model": "Model", "groups": 2},
        {"hook": "train_start", "step": 0},
        {"hook": "step_end", "step": 1, "seen": 1},
        {"hook": "step_end", "step": 2, "seen": 2},
        {"hook": "evaluation_end", "step": 2, "metrics": metrics},
        {"hook": "step_end", "step": 3, "seen": 3},
        {"hook": "checkpoint_save", "step": 3},
        {"hook": "step_end", "step": 4, "seen": 4},
        {"hook": "evaluation_end", "step": 4, "metrics": metrics},
        {"hook": "checkpoint_save", "step": 4},
        {"hook": "train_end", "step": 4, "exported": True},
    ]


def test_the_state_of_a_hook_survives_a_kill(home: Path) -> None:
    both = "train.hooks=[recorder:Config, sudden_death:Config]"
    (home / "death.json").write_text('["step_end", 8]')
    runs.train(home, "--run", "hook-state", both, "train.steps=9", status=-9)
    calls(home)
    runs.train(home, "--run", "hook-state", both, "train.steps=9", "--resume")
    resumed = calls(home)
    assert [call["hook"] for call in resumed[:5]] == [
        "check",
        "model_built",
        "parameter_groups",
        "checkpoint_load",
        "train_start",
    ]
    assert [(c["step"], c["seen"]) for c in resumed if c["hook"] == "step_end"] == [(n, n) for n in range(6, 10)]


def test_a_hook_hears_of_a_failure(home: Path) -> None:
    (home / "calls.jsonl").unlink(missing_ok=True)
    runs.train(home, "--run", "hook-fail", RECORDER, "model.target=[mlm, sp, nan_target:Config: {step: 2}]", status=2)
    assert calls(home)[-1] == {"hook": "run_failed", "step": 2, "error": "TPError"}


def test_a_hook_can_refuse_a_spec(home: Path) -> None:
    said = runs.train(home, "--run", "refused", "train.hooks=[recorder:Config: {complain: true}]", status=2)
    assert "recorder: this spec will not do" in said
    assert not (home / "refused").exists()


# -- what a run writes ----------------------------------------------------------------------------------------------


def test_tensorboard_gets_what_the_metrics_file_gets(home: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
        EventAccumulator,
    )

    runs.train(home, "--run", "board", EVAL, "train.loggers=[tensorboard]", "train.eval_every=10")
    board = EventAccumulator(str(home / "board" / "tensorboard"))
    board.Reload()
    for line in runs.metrics(home / "board"):
        for name, value in line.items():
            if name != "step":
                at = {event.step: event.value for event in board.Scalars(name)}
                assert at[line["step"]] == pytest.approx(value, rel=1e-6)


def test_a_log_line_holds_what_is_promised(home: Path) -> None:
    first = json.loads((home / "calm" / "metrics.jsonl").read_text().splitlines()[0])
    assert first.keys() >= {
        *("step", "epoch", "samples", "loss", "loss/mlm", "loss/sp", "mlm/accuracy", "sp/accuracy"),
        *("lr", "grad_norm", "tokens_per_second", "samples_per_second"),
    }
    assert first["loss"] == pytest.approx(first["loss/mlm"] + first["loss/sp"])
    assert (first["step"], first["samples"]) == (3, 24)


def test_epochs_are_turned_into_steps(home: Path) -> None:
    spec = runs.read_spec(home)
    del spec["train"]["steps"]
    spec["train"]["epochs"] = 1.5
    (home / "epochs.yaml").write_text(json.dumps(spec))
    folder = home / "epochs"
    runs.train(home, "--run", "epochs", spec="epochs.yaml")
    last = runs.metrics(folder)[-1]
    assert last["epoch"] >= 1.5 > last["epoch"] - 8 / 67


# -- run folders ----------------------------------------------------------------------------------------------------


def content(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_folder_that_holds_another_run_is_refused_and_left_as_it_was(home: Path) -> None:
    before = content(home / "calm")
    said = runs.train(home, "--run", "calm", status=2)
    assert "already holds a run; continue it with --resume, or choose another with --run" in said
    assert content(home / "calm") == before


def test_a_folder_with_other_things_and_a_file_are_refused(home: Path) -> None:
    (home / "notes").mkdir()
    (home / "notes" / "diary.txt").write_text("dear diary")
    said = runs.train(home, "--run", "notes", status=2)
    assert "is not empty and holds no run" in said
    assert [path.name for path in (home / "notes").iterdir()] == ["diary.txt"]
    for run in ("corpus.txt", "corpus.txt/deeper"):
        said = runs.train(home, "--run", run, status=2)
        assert said.strip() == "error: corpus.txt: this is a file; a run needs a folder (--run DIR)"


def test_a_folder_in_which_another_process_trains_is_refused_until_that_is_dead(home: Path) -> None:
    changes = ["train.steps=100000", "train.checkpoint_every=null"]
    first = runs.start(home, "--run", "shared", *changes, "train.workers=2")
    first.wait_for("step 3/")
    said = runs.train(home, "--run", "shared", "--resume", *changes, status=2)
    assert said.splitlines()[-1].startswith("error: shared: another process is training in this folder now")
    first.kill()  # alone: its workers live on for a moment
    assert first.wait() == -9
    assert "starting from the beginning" in runs.train(home, "--run", "shared", "--resume", "train.steps=3")


def test_a_spec_of_the_run_that_cannot_be_read_is_none_that_counts(home: Path) -> None:
    shutil.copytree(home / "calm", home / "torn")
    (home / "torn" / "spec.json").write_text('{"model": {')
    said = runs.train(home, "--run", "torn", "--resume", "train.seed=1", status=2)
    assert "cannot change on --resume: train.seed (was 42, is 1)" in said
    runs.train(home, "--run", "torn", "--resume")
    assert json.loads((home / "torn" / "spec.json").read_text()) == json.loads(
        (home / "calm" / "spec.json").read_text()
    )


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("train.batch_size=4", "train.batch_size (was 8, is 4)"),
        ("train.seed=7", "train.seed (was 42, is 7)"),
        ("model.encoder.transformer.num_layers=1", "model.encoder.transformer.num_layers (was 2, is 1)"),
        ("model.target=[mlm]", "model.target (was [mlm, sp], is [mlm])"),
        ("model.target.mlm.weight=0.5", "model.target.mlm.weight (was 1.0, is 0.5)"),
        ("data.processor.bert.max_length=24", "data.processor.bert.max_length (was 32, is 24)"),
        ("train.optimizer={adamw: {lr: 0.5}}", "train.optimizer.adamw.lr (was 0.01, is 0.5)"),
        ("train.optimizer={sgd: {lr: 0.01}}", "train.optimizer (was adamw, is sgd)"),
    ],
)
def test_resuming_with_another_model_batch_seed_or_optimizer_is_refused(home: Path, change: str, named: str) -> None:
    before = content(home / "calm")
    said = runs.train(home, "--run", "calm", "--resume", change, status=2)
    assert named in said
    assert "cannot change on --resume" in said
    assert content(home / "calm") == before


def test_resuming_with_other_data_is_refused(home: Path) -> None:
    before = content(home / "calm")
    said = runs.train(home, "--run", "calm", "--resume", "data.train=held_out.txt", status=2)
    assert "data.train: " in said
    assert "held_out.txt differs from " in said
    assert content(home / "calm") == before


def test_what_does_not_touch_the_saved_state_may_change_on_resume(home: Path) -> None:
    shutil.copytree(home / "calm", home / "longer")
    changes = ["train.steps=22", "train.log_every=1", "train.workers=1", "train.keep_checkpoints=5"]
    said = runs.train(home, "--run", "longer", "--resume", *changes, "--allow-change", "steps")
    assert "resuming longer at step 20 of 22" in said
    assert [line["step"] for line in runs.metrics(home / "longer")] == [3, 6, 9, 12, 15, 18, 20, 21, 22]


def test_a_run_that_could_not_start_leaves_no_folder(home: Path) -> None:
    runs.train(home, "--run", "never", "train.strategy=ddp", status=2)
    assert not (home / "never").exists()


# -- workers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_in_a_worker_is_the_error_itself(home: Path, workers: int) -> None:
    changes = ["data.processor={broken_processor:Config: {max_length: 32}}", f"train.workers={workers}"]
    said = runs.train(home, "--run", f"broken-{workers}", *changes, status=2)
    assert said.splitlines()[-1] == "error: corpus.txt:7: this record is broken"
    assert "Traceback" not in said


def test_a_worker_that_is_killed_ends_the_run_with_a_message(home: Path) -> None:
    changes = ["data.processor={broken_processor:Config: {max_length: 32, die: true}}", "train.workers=1"]
    said = runs.train(home, "--run", "dead-worker", *changes, status=2)
    assert "a process that prepares batches has ended" in said
    assert "Traceback" not in said


def test_a_process_may_look_at_the_folder_while_the_first_one_tries_it_out(tmp_path: Path) -> None:
    done = threading.Event()

    def tried() -> None:
        while not done.is_set():
            RunFolder(tmp_path / "run").try_out()

    first = threading.Thread(target=tried)
    first.start()
    try:
        for _ in range(3000):
            RunFolder(tmp_path / "run").check(resume=False)
    finally:
        done.set()
        first.join()
