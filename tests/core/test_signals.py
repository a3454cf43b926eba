"""SIGTERM and SIGINT save and stop; a second SIGINT stops at once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.core import runs
from tp_core.processes.signals import StopRequest


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with an undisturbed run, ``calm``."""
    folder = runs.write_project(tmp_path_factory.mktemp("signals"), steps=200, checkpoint_every=None)
    shutil.copy(Path(__file__).with_name("slow_save.py"), folder)
    runs.train(folder, "--run", "calm")
    return folder


def assert_saved(home: Path, run: str, said: str, name: str) -> int:
    """The run was stopped by a signal and is saved; the step at which it was."""
    (folder,) = (home / run / "checkpoints").iterdir()
    step = json.loads((folder / "manifest.json").read_text())["step"]
    assert 0 < step < 200
    assert said.splitlines()[-1] == f"stopped on {name} at step {step}; the run is saved and goes on with --resume"
    assert "Traceback" not in said
    assert not (home / run / "model").exists()
    return int(step)


@pytest.mark.parametrize(("number", "workers"), [("SIGTERM", 0), ("SIGINT", 0), ("SIGTERM", 2)])
def test_a_signal_saves_and_ends_the_run_which_then_goes_on_as_if_nothing_had_happened(
    home: Path, number: str, workers: int
) -> None:
    name = f"{number}-{workers}"
    run = runs.start(home, "--run", name, f"train.workers={workers}")
    run.wait_for("step 15/")
    # To the whole group, as schedulers and terminals do it: the workers must survive until all is saved.
    os.killpg(run.pid, signal.Signals[number])
    assert run.wait() == 0, run.said()
    step = assert_saved(home, name, run.said(), number)
    said = runs.train(home, "--run", name, "--resume")
    assert f"resuming {name} at step {step} of 200" in said
    runs.assert_same_run(home / name, home / "calm")


def test_a_second_sigint_stops_at_once(home: Path) -> None:
    (home / "saving").unlink(missing_ok=True)
    run = runs.start(home, "--run", "twice", "train.hooks=[{slow_save:Config: {seconds: 60}}]")
    run.wait_for("step 3/")
    run.kill(signal.SIGINT)
    run.wait_for((home / "saving").exists)
    begin = time.monotonic()
    run.kill(signal.SIGINT)
    assert run.wait(10) == 130
    assert time.monotonic() - begin < 5
    assert "Traceback" not in run.said()
    said = runs.train(home, "--run", "twice", "--resume")
    assert "no checkpoint yet" in said
    runs.assert_same_run(home / "twice", home / "calm")


def test_a_second_sigterm_does_not_disturb_saving(home: Path) -> None:
    (home / "saving").unlink(missing_ok=True)
    run = runs.start(home, "--run", "again", "train.hooks=[{slow_save:Config: {seconds: 0.3}}]")
    run.wait_for("step 3/")
    run.kill(signal.SIGTERM)
    run.wait_for((home / "saving").exists)
    run.kill(signal.SIGTERM)
    assert run.wait() == 0
    assert_saved(home, "again", run.said(), "SIGTERM")


def test_the_real_command_line_saves_on_sigterm(home: Path) -> None:
    arguments = [sys.executable, "-m", "tp_core", "train", "spec.yaml", "--run", "real"]
    with open(home / "real.txt", "wb") as log:
        process = subprocess.Popen(arguments, cwd=home, env=runs.environment(), stdout=log, stderr=log)
        run = runs.Run(process.pid, home / "real.txt")
        run.wait_for("step 3/", seconds=60)
        process.terminate()
        assert process.wait(30) == 0
    assert_saved(home, "real", run.said(), "SIGTERM")
    runs.train(home, "--run", "real", "--resume")
    runs.assert_same_run(home / "real", home / "calm")


def test_workers_end_with_a_run_that_is_killed(home: Path) -> None:
    run = runs.start(home, "--run", "orphans", "train.workers=2")
    run.wait_for("step 3/")
    run.kill()
    run.wait()

    def gone() -> bool:
        try:
            os.killpg(run.pid, 0)
        except ProcessLookupError:
            return True
        return False

    run.wait_for(gone, seconds=20)


def test_under_torchrun_the_echo_of_a_sigint_is_not_a_second_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    with StopRequest() as request:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        assert request.name == "SIGINT"
        monkeypatch.setattr("tp_core.processes.signals._ECHO", 0.0)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with StopRequest():
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


EARLY = """
import os
import signal
from tp_core.options.hooks import HooksConfig
from tp_core.hookspecs import hookimpl

os.kill(os.getpid(), signal.{name})


class Config(HooksConfig):
    \"\"\"Nothing.\"\"\"

    def build(self) -> object:
        return Nothing()


class Nothing:
    @hookimpl
    def tp_train_end(self) -> None:
        pass
"""


@pytest.mark.parametrize(("name", "status"), [("SIGUSR1", 0), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_before_there_is_a_run_saves_nothing_and_ends_it_where_it_asks_to(
    home: Path, name: str, status: int
) -> None:
    (home / f"early_{name}.py").write_text(EARLY.format(name=name))
    options = [f"train.hooks=[early_{name}:Config]", "train.steps=2", "data.eval=null"]
    run = runs.start_tp(home, "train", "spec.yaml", "--run", f"early-{name}", *options)
    assert run.wait() == status, run.said()
    assert "Traceback" not in run.said()
    assert (home / f"early-{name}" / "model").exists() == (status == 0)
