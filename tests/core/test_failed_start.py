"""A start that fails before the first step leaves its folder free; one that is killed later leaves a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.core import runs
from tp_core import TPError, load_spec, train

FAULT = "data.processor={{faulty_processor:Config: {{max_length: 32, part: {}, index: {}}}}}"


def stumbling(event: str, **options: object) -> str:
    return f"train.hooks=[stumbling:Config: {json.dumps({'event': event, **options})}]"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = runs.write_project(
        tmp_path_factory.mktemp("starts"), steps=3, loggers=["tensorboard"], checkpoint_every=None
    )
    for helper in ("stumbling.py", "faulty_processor.py", "sudden_death.py"):
        shutil.copy(Path(__file__).with_name(helper), folder)
    lines = (folder / "corpus.txt").read_bytes().splitlines()
    (folder / "bad.txt").write_bytes(b"\n".join([*lines[:3], b"ba \xff\xfe be", *lines[3:]]))
    (folder / "empty.txt").write_text("")
    (folder / "fault").touch()
    return folder


FAILURES = {
    "data that cannot be used": ["data.train=bad.txt"],
    "data that is not there": ["data.train=missing.txt"],
    "evaluation data that cannot be used": ["data.eval=bad.txt"],
    "evaluation data that hold nothing": ["data.eval=empty.txt"],
    "a model to start from that is not there": ["init_from=missing"],
    "a model too large for the memory": ["model.vocab_size=10000000000000"],
    "no device": ["train.device=cuda"],
    "a hook when the model is built": [stumbling("model_built")],
    "a hook when training starts": [stumbling("train_start")],
    "a record of the first batch": [FAULT.format("train", 0), "train.batch_size=67"],
    "a record of the first batch, in a worker": [FAULT.format("train", 0), "train.batch_size=67", "train.workers=1"],
}


QUICK = ("evaluation data that cannot be used", "a hook when training starts", "a record of the first batch")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(changes, id=name, marks=[pytest.mark.slow] * (name not in QUICK))
        for name, changes in FAILURES.items()
    ],
)
def test_a_start_that_fails_leaves_its_folder_free(home: Path, changes: list[str]) -> None:
    if changes == ["train.device=cuda"] and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    run = runs.start(home, "--run", "runs/free", *changes)
    assert run.wait() in (1, 2)
    assert not (home / "runs" / "free").exists(), run.said()
    assert "--resume" not in run.said()


def test_after_a_start_that_failed_the_name_can_be_used(home: Path) -> None:
    runs.train(home, "--run", "name", stumbling("train_start"), status=2)
    runs.train(home, "--run", "name")


def test_a_model_too_large_for_the_memory_is_one_message(home: Path) -> None:
    said = runs.train(home, "--run", "large", "model.vocab_size=1000000000", "model.hidden_size=1048576", status=2)
    assert said.splitlines()[-1].startswith("error: the memory is full (")
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_folder_that_was_there_stays_and_is_empty_again(home: Path) -> None:
    (home / "made").mkdir()
    runs.train(home, "--run", "made", stumbling("train_start"), status=2)
    assert list((home / "made").iterdir()) == []
    runs.train(home, "--run", "made")


@pytest.mark.slow
def test_processes_of_which_one_fails_at_the_start_leave_the_folder_free(home: Path) -> None:
    pair = runs.start_pair(home, "--run", "pair", stumbling("train_start", rank=1))
    assert sorted(each.wait() for each in pair) == [2, 2]
    assert not (home / "pair").exists()
    runs.train_pair(home, "--run", "pair", "train.batch_size=8")


@pytest.mark.slow
def test_a_resume_that_fails_at_the_start_leaves_the_run(home: Path) -> None:
    runs.train(home, "--run", "kept", stumbling("step_end", step=2), status=2)
    said = runs.train(home, "--run", "kept", "--resume", stumbling("train_start", step=2), status=2)
    assert "kept/checkpoints/step_000002: saved; --resume goes on from there" in said
    runs.train(home, "--run", "kept", "--resume")


def test_a_start_that_loses_the_race_for_a_folder_does_not_remove_it(home: Path) -> None:
    options = ["--run", "race", "train.steps=100000", "train.log_every=100000", "train.loggers=[]"]
    first = runs.start(home, *options)
    first.wait_for(lambda: "training spec" in first.said())
    for file in (home / "race").iterdir():  # as the second start saw the folder if it looked before the first one wrote
        if file.name != ".lock":
            file.unlink()
    said = runs.train(home, "--run", "race", status=2)
    assert "race: another process is training in this folder now" in said
    assert [path.name for path in (home / "race").iterdir()] == [".lock"]
    first.kill()
    first.wait()


def test_two_starts_of_one_folder_at_once_make_one_run(home: Path) -> None:
    both = [runs.start(home, "--run", "both", "train.steps=40", "train.loggers=[]") for _ in range(2)]
    assert sorted(each.wait() for each in both) == [0, 2]
    said = next(each.said() for each in both if "error: " in each.said())
    assert "another process is training in this folder now" in said or "already holds a run" in said
    assert runs.metrics(home / "both")[-1]["step"] == 40


# -- killed ---------------------------------------------------------------------------------------------------------


def test_a_run_that_is_killed_before_its_first_checkpoint_starts_again_with_resume(home: Path) -> None:
    (home / "death.json").write_text('["step_end", 2]')
    runs.train(home, "--run", "killed", "train.hooks=[sudden_death:Config]", status=-9)
    said = runs.train(home, "--run", "killed", status=2)
    assert "killed: this folder already holds a run, without a checkpoint; start it from the beginning with" in said
    assert "starting from the beginning" in runs.train(home, "--run", "killed", "--resume")
    assert runs.metrics(home / "killed")[-1]["step"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("change", range(1, 7))
def test_a_start_that_is_killed_while_it_writes_its_folder_goes_on_with_resume(home: Path, change: int) -> None:
    run = f"change-{change}"
    (home / "death.json").write_text(json.dumps(["any file", change]))
    runs.train(home, "--run", run, "train.hooks=[sudden_death:Config]", status=-9)
    runs.train(home, "--run", run, "--resume")
    assert runs.metrics(home / run)[-1]["step"] == 3


def test_a_folder_with_other_things_holds_no_run_to_resume(home: Path) -> None:
    (home / "notes").mkdir()
    (home / "notes" / "diary.txt").write_text("dear diary")
    said = runs.train(home, "--run", "notes", "--resume", status=2)
    assert "this folder is not empty and holds no run" in said
    assert [path.name for path in (home / "notes").iterdir()] == ["diary.txt"]


def test_a_run_whose_checkpoints_are_gone_is_not_trained_again_over_its_model(home: Path) -> None:
    runs.train(home, "--run", "tidied")
    shutil.rmtree(home / "tidied" / "checkpoints")
    before = runs.weights(home / "tidied")
    said = runs.train(home, "--run", "tidied", "--resume", status=2)
    assert "has an exported model and no checkpoint to go on from" in said
    runs.assert_same_weights(runs.weights(home / "tidied"), before)


def test_a_call_from_python_that_fails_at_the_start_leaves_no_folder(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    spec = load_spec(home / "spec.yaml", [stumbling("train_start")])
    with pytest.raises(RuntimeError, match="stumbled"):
        train(spec, home / "python")
    assert not (home / "python").exists()
    with pytest.raises(TPError, match="give --resume with it"):
        train(spec, home / "python", allow_change="lr")
