"""However a run ends: what is on the disk then, what the message says of it, and how it goes on."""

from __future__ import annotations

import json
import re
import shutil
import signal
from pathlib import Path

import pytest

from tests.core import runs
from tp_core import TPError
from tp_core.data.sampling.order import permutation
from tp_core.spec.load import load_spec

#: An index of the corpus that the sixth step is the first to need, and one of the second batch of an evaluation.
LATE = int(permutation(42, 0, 67)[5 * 8 + 3])
FAULTY = "data.processor={{faulty_processor:Config: {{max_length: 32, part: {part}, index: {index}}}}}"
EVAL = ["data.eval=held_out.txt", "train.eval_every=6"]
NO_SAVES = "train.checkpoint_every=null"
SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with undisturbed runs: ``calm`` and ``evaluated``."""
    folder = runs.write_project(tmp_path_factory.mktemp("ends"), steps=12, checkpoint_every=None)
    for helper in ("stumbling.py", "faulty_processor.py", "sudden_death.py"):
        shutil.copy(Path(__file__).with_name(helper), folder)
    runs.train(folder, "--run", "calm")
    runs.train(folder, "--run", "evaluated", *EVAL)
    return folder


@pytest.fixture(scope="module")
def pair(home: Path) -> Path:
    """An undisturbed run of two processes."""
    runs.train_pair(home, "--run", "pair", *EVAL)
    return home / "pair"


def stumbling(event: str, step: int, **options: object) -> str:
    given = {"event": event, "step": step, **options}
    return f"train.hooks=[stumbling:Config: {json.dumps(given)}]"


def saved_in(home: Path, run: str) -> list[str]:
    folder = home / run / "checkpoints"
    return runs.checkpoints(home / run) if folder.exists() else []


# -- between steps --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "step"),
    [
        ("step_end", 7),
        pytest.param("step_end", 12, marks=SLOW),
        pytest.param("evaluation_end", 6, marks=SLOW),
        pytest.param("evaluation_end", 12, marks=SLOW),
    ],
)
def test_a_hook_that_raises_ends_a_run_that_is_saved_and_goes_on(home: Path, event: str, step: int) -> None:
    run = f"{event}-{step}"
    said = runs.train(home, "--run", run, *EVAL, stumbling(event, step), status=2)
    assert f"{run}/checkpoints/step_{step:06d}: saved; --resume goes on from there" in said
    assert f"the local file stumbling.py failed: RuntimeError: stumbled at {event} (" in said.splitlines()[-1]
    assert saved_in(home, run) == [f"step_{step:06d}"]
    runs.train(home, "--run", run, *EVAL, "--resume")
    runs.assert_same_run(home / run, home / "evaluated")


def test_a_worker_that_is_killed_ends_a_run_that_is_saved_and_goes_on(home: Path) -> None:
    hook = stumbling("step_end", 5, how="lost worker")
    said = runs.train(home, "--run", "worker", "train.workers=1", "train.prefetch=1", hook, status=2)
    assert "error: a process that prepares batches has ended" in said.splitlines()[-1]
    (saved,) = saved_in(home, "worker")
    assert f"worker/checkpoints/{saved}: saved; --resume goes on from there" in said
    assert int(saved[-6:]) >= 5
    runs.train(home, "--run", "worker", "--resume")
    runs.assert_same_run(home / "worker", home / "calm")


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=SLOW)])
def test_a_bad_record_that_is_met_late_ends_a_run_that_is_saved_before_it(home: Path, workers: int) -> None:
    run, options = f"late-{workers}", [FAULTY.format(part="train", index=LATE), f"train.workers={workers}"]
    (home / "fault").touch()
    said = runs.train(home, "--run", run, *options, status=2)
    assert said.splitlines()[-2:] == [
        f"{run}/checkpoints/step_000005: saved; --resume goes on from there",
        f"error: corpus.txt:{LATE}: this record is broken",
    ]
    (home / "fault").unlink()
    runs.train(home, "--run", run, *options, "--resume")
    runs.assert_same_run(home / run, home / "calm")


@pytest.mark.parametrize("step", [pytest.param(6, marks=SLOW), 12])
def test_an_evaluation_that_fails_is_made_again_on_resume(home: Path, step: int) -> None:
    run = f"evaluation-{step}"
    options = [*EVAL, f"train.eval_every={step}", FAULTY.format(part="eval", index=9)]
    (home / "fault").touch()
    said = runs.train(home, "--run", run, *options, "train.early_stopping={}", status=2)
    assert said.splitlines()[-1] == "error: corpus.txt:9: this record is broken"
    assert saved_in(home, run) == [f"step_{step:06d}"]
    (home / "fault").unlink()
    said = runs.train(home, "--run", run, *options, "train.early_stopping={}", "--resume")
    evaluations = [line for line in runs.metrics(home / run) if "eval/loss" in line]
    assert [line["step"] for line in evaluations] == sorted({step, 12})
    expected = {line["step"]: line for line in runs.metrics(home / "evaluated") if "eval/loss" in line}
    assert all(line == expected[line["step"]] for line in evaluations)
    again = runs.metrics(home / run)
    runs.train(home, "--run", run, *options, "train.early_stopping={}", "--resume")
    assert runs.metrics(home / run) == again


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
@pytest.mark.parametrize("step", [5, pytest.param(6, marks=SLOW)])
def test_figures_that_could_not_be_written_are_there_when_the_run_has_gone_on(home: Path, step: int) -> None:
    run = f"unwritten-{step}"
    other = [*EVAL, "train.log_every=1" if step == 5 else "train.log_every=4"]
    runs.train(home, "--run", f"written-{step}", *other)
    said = runs.train(home, "--run", run, *other, stumbling("step_end", step, how="full disk"), status=2)
    assert f"{run}/metrics.jsonl: cannot be written: No space left on device" in said
    (home / run / "metrics.before").replace(home / run / "metrics.jsonl")
    runs.train(home, "--run", run, *other, "--resume")
    runs.assert_same_run(home / run, home / f"written-{step}")


def test_what_fails_while_a_hook_hears_of_it_does_not_hide_the_error(home: Path) -> None:
    hook = stumbling("step_end", 3, also_when_told=True)
    said = runs.train(home, "--run", "told", hook, status=2)
    assert "a hook failed while handling the error: KeyError: 'lost the thread'" in said
    assert "the local file stumbling.py failed: RuntimeError: stumbled at step_end (" in said.splitlines()[-1]
    assert saved_in(home, "told") == ["step_000003"]


@pytest.mark.slow
def test_a_hook_that_cannot_save_leaves_the_checkpoint_before(home: Path) -> None:
    every = "train.checkpoint_every=4"
    said = runs.train(home, "--run", "unsaved", every, stumbling("checkpoint_save", 8), status=2)
    assert saved_in(home, "unsaved") == ["step_000004"]
    assert "unsaved/checkpoints/step_000004: saved; --resume goes on from there" in said
    runs.train(home, "--run", "unsaved", every, "--resume")
    runs.assert_same_run(home / "unsaved", home / "calm")


@pytest.mark.slow
def test_a_hook_that_raises_at_the_end_leaves_the_exported_model(home: Path) -> None:
    said = runs.train(home, "--run", "end", stumbling("train_end", 12), status=2)
    assert "the local file stumbling.py failed: RuntimeError: stumbled at train_end (" in said.splitlines()[-1]
    runs.assert_same_run(home / "end", home / "calm")


# -- not finite -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [7, *(pytest.param(step, marks=SLOW) for step in (1, 6, 12))])
def test_a_run_that_stops_at_what_is_not_finite_goes_on_as_if_it_had_skipped_the_step(home: Path, step: int) -> None:
    hook = stumbling("train_start" if step == 1 else "step_end", step - 1, how="nan")
    runs.train(home, "--run", f"skip-{step}", hook, "train.on_nan=skip")
    run = f"stop-{step}"
    said = runs.train(home, "--run", run, hook, status=2).splitlines()[-1]
    assert said.startswith(f"error: step {step}: a gradient is not finite; the update was not applied. ")
    assert f"The state after step {step} is saved in {run}/checkpoints/step_{step:06d}" in said
    assert "--resume goes on after it" in said
    assert "(--allow-change lr)" in said
    assert saved_in(home, run) == [f"step_{step:06d}"]
    runs.train(home, "--run", run, "--resume")
    runs.assert_same_run(home / run, home / f"skip-{step}")


@pytest.mark.slow
def test_after_a_stop_a_lower_learning_rate_holds_from_the_next_step_on(home: Path) -> None:
    runs.train(home, "--run", "lower", stumbling("step_end", 6, how="nan"), status=2)
    said = runs.train(home, "--run", "lower", "train.optimizer.adamw.lr=1e-3", "--resume", "--allow-change", "lr")
    assert "from step 7 on" in said
    rates = {line["step"]: line["lr"] for line in runs.metrics(home / "lower")}
    before = {line["step"]: line["lr"] for line in runs.metrics(home / "calm")}
    assert rates == pytest.approx({step: lr * (0.1 if step > 7 else 1) for step, lr in before.items()})


@pytest.mark.slow
def test_where_nothing_can_be_saved_the_message_of_what_is_not_finite_says_so(home: Path) -> None:
    run = home / "full"
    said = runs.train(home, "--run", "full", stumbling("step_end", 6, how="nan"), file_limit=20_000, status=2)
    last = said.splitlines()[-1]
    assert re.match(r"error: step 7: a gradient is not finite; .* The run could not be saved: .*File too large", last)
    assert not saved_in(home, "full")
    assert "full: nothing is saved yet; --resume starts the run from the beginning" in said
    runs.train(home, "--run", "full", "--resume")
    runs.assert_same_run(run, home / "calm")


# -- several processes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "step", "rank"), [("step_end", 7, 1), pytest.param("evaluation_end", 6, 0, marks=SLOW)]
)
def test_an_error_of_one_process_between_steps_saves_all(
    home: Path, pair: Path, event: str, step: int, rank: int
) -> None:
    run = f"pair-{step}"
    both = runs.start_pair(home, "--run", run, *EVAL, stumbling(event, step, rank=rank))
    assert sorted(each.wait() for each in both) == [2, 2]
    said = "".join(each.said() for each in both)
    assert said.count(f"RuntimeError: stumbled at {event}") == 1
    assert saved_in(home, run) == [f"step_{step:06d}"]
    assert said.count("saved; --resume goes on from there") == 1
    runs.train_pair(home, "--run", run, *EVAL, "--resume")
    runs.assert_same_run(home / run, pair)


@pytest.mark.slow
def test_an_evaluation_that_fails_on_one_process_saves_all(home: Path, pair: Path) -> None:
    (home / "fault").touch()
    options = [*EVAL, FAULTY.format(part="eval", index=9)]  # of the second batch, which is the second process's
    said = runs.train_pair(home, "--run", "pair-eval", *options, status=2)
    assert [line for line in said.splitlines() if line.startswith("error: ")] == [
        "error: corpus.txt:9: this record is broken"
    ]
    assert saved_in(home, "pair-eval") == ["step_000006"]
    (home / "fault").unlink()
    runs.train_pair(home, "--run", "pair-eval", *options, "--resume")
    runs.assert_same_run(home / "pair-eval", pair)


@pytest.mark.slow
def test_what_is_not_finite_on_one_process_saves_all(home: Path) -> None:
    hook = stumbling("step_end", 6, rank=1, how="nan")
    runs.train_pair(home, "--run", "pair-skip", *EVAL, hook, "train.on_nan=skip")
    said = runs.train_pair(home, "--run", "pair-nan", *EVAL, hook, status=2)
    assert said.count("The state after step 7 is saved in pair-nan/checkpoints/step_000007") == 1
    runs.train_pair(home, "--run", "pair-nan", *EVAL, "--resume")
    runs.assert_same_run(home / "pair-nan", home / "pair-skip")


# -- checkpoints by the clock ---------------------------------------------------------------------------------------


def test_checkpoints_by_the_clock_change_nothing(home: Path) -> None:
    runs.train(home, "--run", "clock", *EVAL, "train.checkpoint_every=0.001s", "train.keep_checkpoints=99")
    assert saved_in(home, "clock")[1:] == [f"step_{step:06d}" for step in range(1, 13)]
    runs.assert_same_run(home / "clock", home / "evaluated")


@pytest.mark.slow
def test_processes_agree_on_the_time_of_a_checkpoint(home: Path, pair: Path) -> None:
    runs.train_pair(home, "--run", "clocks", *EVAL, "train.checkpoint_every=0.03s", "train.keep_checkpoints=99")
    assert len(saved_in(home, "clocks")) > 1
    runs.assert_same_run(home / "clocks", pair)


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_from_a_checkpoint_of_the_clock(home: Path) -> None:
    options = ["train.checkpoint_every=0.001s", "train.hooks=[sudden_death:Config]"]
    (home / "death.json").write_text('["step_end", 8]')
    runs.train(home, "--run", "killed", *options, status=-signal.SIGKILL)
    assert "resuming killed at step 7 of 12" in runs.train(home, "--run", "killed", *options, "--resume")
    runs.assert_same_run(home / "killed", home / "calm")


def test_a_spec_that_does_not_say_saves_every_half_hour_and_null_only_at_the_end(home: Path) -> None:
    spec = runs.read_spec(home)
    del spec["train"]["checkpoint_every"]
    (home / "unsaid.yaml").write_text(json.dumps(spec))
    assert load_spec(home / "unsaid.yaml").train.options.checkpoint_interval() == (None, 1800.0)
    never = load_spec(home / "unsaid.yaml", [NO_SAVES])
    (home / "again.yaml").write_text(never.to_yaml())
    assert load_spec(home / "again.yaml").train.options.checkpoint_interval() == (None, None)


@pytest.mark.parametrize(
    ("given", "steps", "seconds"), [("90s", None, 90), ("1.5m", None, 90), ("2h", None, 7200), ("7", 7, None)]
)
def test_checkpoint_every_takes_a_time_or_a_number_of_steps(home: Path, given: str, steps: int, seconds: float) -> None:
    options = load_spec(home / "spec.yaml", [f"train.checkpoint_every={given}"]).train.options
    assert options.checkpoint_interval() == (steps, seconds)


@pytest.mark.parametrize("given", ["0", "0m", "-5", "30 minutes", "1d", "true", "2.5", "[1]"])
def test_what_is_neither_is_refused_with_an_example(home: Path, given: str) -> None:
    with pytest.raises(TPError, match="expected a number of steps, or a time such as 30m, 90s or 2h; got "):
        load_spec(home / "spec.yaml", [f"train.checkpoint_every={given}"])


# -- signals --------------------------------------------------------------------------------------------------------


def test_a_closed_terminal_saves_and_stops(home: Path) -> None:
    run = runs.start(home, "--run", "hangup", "train.steps=2000")
    run.wait_for("step 3/")
    run.kill(signal.SIGHUP)
    assert run.wait() == 0
    assert "stopped on SIGHUP at step" in run.said()
    assert len(saved_in(home, "hangup")) == 1


def test_sigusr1_saves_and_goes_on(home: Path) -> None:
    run = runs.start(home, "--run", "usr1", "train.steps=2000")
    run.wait_for("step 3/")
    run.kill(signal.SIGUSR1)
    run.wait_for(lambda: len(saved_in(home, "usr1")) == 1)
    lines = len(run.said().splitlines())
    run.wait_for(lambda: len(run.said().splitlines()) > lines + 2)
    run.kill(signal.SIGTERM)
    assert run.wait() == 0
