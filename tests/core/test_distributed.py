"""The division of a batch among micro-batches and processes does not change what is learned."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.core import runs
from tp_core.data.build import build_processor, build_tokenizer
from tp_core.data.cache.prepared import prepared_rows
from tp_core.data.routing import Feed, route_of
from tp_core.data.sampling.loader import BatchPlan, training_batches
from tp_core.data.sampling.mixture import DataSet, SetSchedule
from tp_core.model import build_model
from tp_core.spec.load import load_spec

NO_DROPOUT = ["model.dropout=0"]
#: Without the lone dashes torchrun takes our ``--run`` for an abbreviation of its own ``--run-path``.
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "tp_core", "--"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with undisturbed runs: ``single`` without dropout, and ``pair`` with it, in two processes."""
    folder = runs.write_project(tmp_path_factory.mktemp("distributed"), eval_every=10)
    spec = runs.read_spec(folder)
    spec["data"]["eval"] = "held_out.txt"
    runs.write_spec(folder, spec)
    shutil.copy(Path(__file__).with_name("nan_target.py"), folder)
    runs.train(folder, "--run", "single", *NO_DROPOUT)
    runs.train_pair(folder, "--run", "pair")
    return folder


def assert_close(found: Path, expected: Path, tolerance: float = 1e-5) -> None:
    """The same log lines and evaluations, to a relative tolerance."""
    lines = runs.metrics(found)
    assert lines == [pytest.approx(line, rel=tolerance) for line in runs.metrics(expected)]
    assert [line["step"] for line in lines if "loss" in line] == [3, 6, 9, 12, 15, 18, 20]


def errors(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("error: ")]


# -- micro-batches --------------------------------------------------------------------------------------------------


def gradients(home: Path, accumulate: int) -> torch.Tensor:
    """The gradients of one batch, from the step that a run takes: so long that the weights before do not matter."""
    options = [*NO_DROPOUT, f"train.accumulate={accumulate}", "train.clip_norm=null", "train.schedule=constant"]
    options += ["train.steps=1", "train.optimizer={sgd: {lr: 1e4, momentum: 0.0, weight_decay: 0.0}}"]
    runs.train(home, "--run", f"accumulate-{accumulate}", *options)
    before = build_model(load_spec(home / "spec.yaml", NO_DROPOUT)).weights()
    after = runs.weights(home / f"accumulate-{accumulate}")
    return torch.cat([(before[name] - after[name]).flatten() / 1e4 for name in before])


def test_one_batch_gives_the_same_gradients_in_1_2_and_8_micro_batches(home: Path) -> None:
    whole, halves, eighths = (gradients(home, accumulate) for accumulate in (1, 2, 8))
    assert whole.norm() > 0.1
    assert (halves - whole).norm() / whole.norm() < 1e-6
    assert (eighths - whole).norm() / whole.norm() < 1e-6


def test_the_micro_batches_of_that_batch_have_denominators_of_their_own(home: Path) -> None:
    spec = load_spec(home / "spec.yaml", NO_DROPOUT)
    model, processor = build_model(spec), build_processor(spec, build_tokenizer(spec))
    assert processor is not None
    rows = prepared_rows(spec, processor, str(home / "corpus.txt"))
    plan = BatchPlan(batch_size=8, accumulate=8, seed=spec.train.options.seed)
    (batches,) = training_batches(
        [DataSet("", rows, Feed(processor, route_of(spec)))], plan, SetSchedule([1.0], 1, 0), range(1)
    )
    counts = torch.stack([model.denominators(batch) for batch in batches])
    assert len(set(counts[:, 0].tolist())) > 1
    assert not torch.equal(counts[:, 0], counts[:, 1])


# -- processes ------------------------------------------------------------------------------------------------------


def test_two_processes_under_torchrun_give_the_losses_of_one(home: Path) -> None:
    ended = runs.command(*TORCHRUN, "train", "spec.yaml", "--run", "torchrun", *NO_DROPOUT, folder=home)
    assert ended.returncode == 0, ended.stderr
    assert "2 × cpu" in ended.stderr
    assert ended.stderr.count("exported torchrun/model") == 1
    assert_close(home / "torchrun", home / "single")


def test_two_processes_with_micro_batches_give_the_losses_of_one(home: Path) -> None:
    runs.train_pair(home, "--run", "pair-accumulate", "train.accumulate=2", *NO_DROPOUT)
    assert_close(home / "pair-accumulate", home / "single")


def test_dropout_differs_between_processes(home: Path) -> None:
    own = [
        torch.load(home / "pair" / "checkpoints" / "step_000020" / f"rank-{rank}.pt", weights_only=True)["random"]
        for rank in range(2)
    ]
    assert not torch.equal(own[0]["torch"], own[1]["torch"])


def test_an_evaluation_with_fewer_batches_than_processes_is_that_of_one_process(home: Path) -> None:
    changed = ["train.steps=4", "train.eval_batch_size=64", "train.eval_every=2", *NO_DROPOUT]
    runs.train(home, "--run", "few", *changed)
    runs.train_pair(home, "--run", "few-pair", *changed)
    found, expected = (
        [line for line in runs.metrics(home / run) if "eval/loss" in line] for run in ("few-pair", "few")
    )
    assert len(found) == 2
    assert "eval/mlm/accuracy" in found[0]
    assert found == [pytest.approx(line, rel=1e-5) for line in expected]


@pytest.mark.parametrize("victim", [0, 1])
def test_two_processes_of_which_one_is_killed_end_the_same_after_resuming(home: Path, victim: int) -> None:
    name = f"killed-{victim}"
    pair = runs.start_pair(home, "--run", name)
    pair[0].wait_for("step 12/")
    pair[victim].kill()
    assert pair[victim].wait() == -signal.SIGKILL
    assert pair[1 - victim].wait() == 2
    other = pair[1 - victim].said()
    assert errors(other) == ["error: the connection to another process of the run was lost"]
    assert "Traceback" not in other
    said = runs.train_pair(home, "--run", name, "--resume")
    assert f"resuming {name} at step 1" in said
    runs.assert_same_run(home / name, home / "pair")


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_a_signal_to_one_process_saves_and_ends_both(home: Path, number: str) -> None:
    pair = runs.start_pair(home, "--run", number)
    pair[0].wait_for("step 6/")
    pair[1].kill(signal.Signals[number])
    assert [run.wait() for run in pair] == [0, 0]
    assert "the run is saved and goes on with --resume" in pair[0].said().splitlines()[-1]
    assert pair[1].said() == ""
    runs.train_pair(home, "--run", number, "--resume")
    runs.assert_same_run(home / number, home / "pair")


def test_a_run_goes_on_with_another_number_of_processes(home: Path) -> None:
    stop = ["train.hooks=[sudden_death:Config]", *NO_DROPOUT]
    shutil.copy(Path(__file__).with_name("sudden_death.py"), home)
    (home / "death.json").write_text('["step_end", 11]')
    runs.train(home, "--run", "grows", *stop, status=-9)
    runs.train_pair(home, "--run", "grows", "--resume", *NO_DROPOUT)
    shrinks = runs.start_pair(home, "--run", "shrinks", *NO_DROPOUT)
    shrinks[0].wait_for("step 12/")
    shrinks[0].kill(signal.SIGTERM)
    assert [run.wait() for run in shrinks] == [0, 0]
    runs.train(home, "--run", "shrinks", "--resume", *NO_DROPOUT)
    for run in ("grows", "shrinks"):
        last, expected = runs.metrics(home / run)[-1], runs.metrics(home / "single")[-1]
        assert last == pytest.approx(expected, rel=1e-4)


# -- errors ---------------------------------------------------------------------------------------------------------


def write_bad_line(home: Path) -> None:
    """A corpus of which line 4 is no UTF-8."""
    lines = (home / "corpus.txt").read_bytes().splitlines()
    lines[3] = b"ba \xff\xfe be"
    (home / "bad.txt").write_bytes(b"\n".join(lines))


@pytest.mark.slow
def test_a_bad_record_ends_both_processes_under_torchrun_with_one_message(home: Path) -> None:
    write_bad_line(home)
    ended = runs.command(*TORCHRUN, "train", "spec.yaml", "--run", "bad", "data.train=bad.txt", folder=home)
    assert ended.returncode
    (message,) = errors(ended.stderr)
    assert "bad.txt:4: " in message
    assert not (home / "bad").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.encoder.transformer.num_heads=3", "3 does not divide hidden_size 16"),
        ("data.train=missing.txt", "data.train: there is no file"),
        ("train.batch_size=7", "train.batch_size 7 is not divisible by 2 processes"),
        ("train.device=cuda", "torch finds no CUDA device"),
    ],
)
def test_an_error_that_all_processes_meet_is_told_once(home: Path, change: str, message: str) -> None:
    if "cuda" in change and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    said = runs.train_pair(home, "--run", "never", change, status=2)
    assert said.count(message) == 1, said
    assert "Traceback" not in said
    assert not (home / "never").exists()


def test_a_run_folder_that_is_in_use_is_refused_once(home: Path) -> None:
    said = runs.train_pair(home, "--run", "pair", status=2)
    (message,) = errors(said)
    assert "already holds a run" in message


def test_a_loss_that_is_not_finite_on_one_process_is_told_once_with_its_target(home: Path) -> None:
    target: dict[str, Any] = {"nan_target:Config": {"step": 5, "rank": 1}}
    said = runs.train_pair(home, "--run", "nan", f"model.target=[mlm, sp, {target}]".replace("'", ""), status=2)
    (message,) = errors(said)
    assert "step 5: the loss of target 'nan_target:Config' is not finite" in message
