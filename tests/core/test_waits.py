"""Whatever waits has a limit, and hears a signal."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core import runs
from tp_core.data.sampling.loader import _batches, _Numbered
from tp_core.data.sampling.order import permutation
from tp_core.data.sampling.waiting import Patience
from tp_core.interfaces import Batch
from tp_core.processes.signals import InterruptedWaitError, StopRequest

#: An index of the corpus that the sixth step is the first to need.
LATE = int(permutation(42, 0, 67)[5 * 8 + 3])
EVAL = ["data.eval=held_out.txt", "train.eval_every=6"]
SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with undisturbed runs: ``calm`` and ``evaluated``."""
    folder = runs.write_project(tmp_path_factory.mktemp("waits"), steps=12, checkpoint_every=None)
    shutil.copy(Path(__file__).with_name("stalling_processor.py"), folder)
    runs.train(folder, "--run", "calm")
    runs.train(folder, "--run", "evaluated", *EVAL)
    return folder


@pytest.fixture
def stall(home: Path) -> Iterator[Path]:
    """The file with which the processor stalls."""
    (home / "stall").touch()
    yield home / "stall"
    for name in ("stall", "stalled"):
        (home / name).unlink(missing_ok=True)


def stalling(part: str = "train", index: int = LATE, **options: object) -> str:
    more = "".join(f", {name}: {value}" for name, value in options.items())
    return f"data.processor={{stalling_processor:Config: {{max_length: 32, part: {part}, index: {index}{more}}}}}"


def gone_on(home: Path, run: str, like: str, *options: str) -> str:
    """Resume a run, which must end as if nothing had happened."""
    for name in ("stall", "stalled"):
        (home / name).unlink(missing_ok=True)
    said = runs.train(home, "--run", run, *options, "--resume")
    runs.assert_same_run(home / run, home / like)
    return said


# -- batches --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "workers", "says"),
    [
        ("stop", 2, "rank 0: worker 1 of 2 (process {pid}) gave no batch within 0.8 s (train.timeout); it is stopped"),
        pytest.param(
            *(
                "sleep",
                0,
                "rank 0: no batch was read and prepared within 0.8 s (train.timeout); is the disk",
            ),
            marks=SLOW,
        ),
    ],
)
def test_a_batch_that_does_not_come_ends_a_run_that_is_saved(
    home: Path, stall: Path, how: str, workers: int, says: str
) -> None:
    run, options = f"{how}-{workers}", [stalling(how=how), f"train.workers={workers}"]
    started = time.monotonic()
    said = runs.train(home, "--run", run, *options, "train.timeout=0.8s", status=2)
    assert time.monotonic() - started < 15
    before, _, after = says.partition("{pid}")
    assert f"error: {before}" in said
    assert after in said
    assert "; --resume" in said
    if not workers:  # a worker that is stopped takes batches with it that it has made
        assert "checkpoints/step_000005: saved; --resume goes on from there" in said
    assert "Traceback" not in said
    gone_on(home, run, "calm", *options)


@pytest.mark.slow
def test_a_signal_ends_the_wait_for_a_worker_that_does_not_answer(home: Path, stall: Path) -> None:
    options = [stalling(how="stop"), "train.workers=1"]
    run = runs.start(home, "--run", "unanswered", *options)
    run.wait_for((home / "stalled").exists)
    time.sleep(0.3)
    run.kill(signal.SIGTERM)
    assert run.wait(10) == 0, run.said()
    assert "stopped on SIGTERM at step" in run.said()
    gone_on(home, "unanswered", "calm", *options)


@pytest.mark.slow
def test_a_signal_is_heard_while_a_record_is_read(home: Path, stall: Path) -> None:
    run = runs.start(home, "--run", "reading", stalling())
    run.wait_for((home / "stalled").exists)
    run.kill(signal.SIGHUP)
    assert run.wait(10) == 0, run.said()
    assert "stopped on SIGHUP at step 5; the run is saved" in run.said()
    gone_on(home, "reading", "calm", stalling())


_SHM = """
mount -t tmpfs -o size=2m tmpfs /dev/shm && exec "$0" -m tp_core train spec.yaml --run "$1" train.workers=2 \
    train.batch_size=64 "data.processor={bert: {max_length: 32}}" "data.tokenizer={space: {vocab: vocab.txt}}" \
    "train.prefetch=200" "train.steps=400" "train.hooks=[slow_step:Config]"
"""


@pytest.mark.slow
def test_full_shared_memory_is_told_and_the_run_is_saved(home: Path) -> None:
    allowed = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    if allowed.returncode:
        pytest.skip("this user cannot mount")
    (home / "slow_step.py").write_text(
        "import time\n"
        "from tp_core.options.hooks import HooksConfig\n"
        "from tp_core.hookspecs import hookimpl\n\n\n"
        "class Config(HooksConfig):\n"
        '    """Wait after each step."""\n\n'
        "    def build(self):\n        return Slow()\n\n\n"
        "class Slow:\n"
        "    @hookimpl\n    def tp_step_end(self, trainer, step):\n        time.sleep(1 if step == 1 else 0)\n"
    )
    command = ["unshare", "-m", "sh", "-c", _SHM, sys.executable, "crowded"]
    ended = subprocess.run(
        command, cwd=home, env=runs.environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2, ended.stderr
    assert "shared memory is full" in ended.stderr
    assert "docker run --shm-size" in ended.stderr
    assert "Traceback" not in ended.stderr


# -- evaluations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=SLOW)])
def test_sigterm_is_heard_during_an_evaluation(home: Path, stall: Path, workers: int) -> None:
    run_name, options = f"evaluating-{workers}", [*EVAL, stalling("eval", 9), f"train.workers={workers}"]
    run = runs.start(home, "--run", run_name, *options)
    run.wait_for((home / "stalled").exists)
    run.kill(signal.SIGTERM)
    assert run.wait(10) == 0, run.said()
    assert "stopped on SIGTERM at step 6; the run is saved" in run.said()
    gone_on(home, run_name, "evaluated", *options)


@pytest.mark.slow
def test_sigterm_in_the_last_evaluation_leaves_it_to_the_next_start(home: Path, stall: Path) -> None:
    options = ["data.eval=held_out.txt", stalling("eval", 9)]
    run = runs.start(home, "--run", "last", *options)
    run.wait_for((home / "stalled").exists)
    run.kill(signal.SIGTERM)
    assert run.wait(10) == 0, run.said()
    assert "stopped on SIGTERM at step 12" in run.said()
    stall.unlink()
    runs.train(home, "--run", "last", *options, "--resume")
    assert "eval/loss" in runs.metrics(home / "last")[-1]
    runs.assert_same_weights(runs.weights(home / "last"), runs.weights(home / "calm"))


def test_sigusr1_during_an_evaluation_saves_and_evaluates_all_the_same(home: Path, stall: Path) -> None:
    options = [*EVAL, stalling("eval", 9, seconds=0.5, each=0.02), "train.eval_batch_size=2"]
    run = runs.start(home, "--run", "usr1", *options)
    run.wait_for((home / "stalled").exists)
    run.kill(signal.SIGUSR1)
    run.wait_for(lambda: (home / "usr1" / "checkpoints" / "step_000006").exists(), seconds=5)
    stall.unlink()
    assert run.wait() == 0, run.said()
    runs.assert_same_weights(runs.weights(home / "usr1"), runs.weights(home / "evaluated"))
    evaluated = [line["step"] for line in runs.metrics(home / "usr1") if "eval/loss" in line]
    assert evaluated == [6, 12]


# -- processes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stopped", [1, pytest.param(0, marks=SLOW)])
def test_a_process_that_is_stopped_does_not_hold_the_others(home: Path, stopped: int) -> None:
    pair = runs.start_pair(home, "--run", f"stopped-{stopped}", "train.timeout=2s", "train.steps=2000")
    pair[0].wait_for("step 3/")
    begin = time.monotonic()
    pair[stopped].kill(signal.SIGSTOP)
    try:
        other = pair[1 - stopped]
        assert other.wait(20) == 2, other.said()
        assert time.monotonic() - begin < 12
        waited = f"error: rank {1 - stopped} waited for rank {stopped}, which did not come within 2 s (train.timeout)"
        assert waited in other.said()
        assert "Traceback" not in other.said()
    finally:
        pair[stopped].kill(signal.SIGKILL)
        pair[stopped].wait()


@pytest.mark.slow
def test_a_signal_during_an_evaluation_is_heard_by_all_processes(home: Path, stall: Path) -> None:
    runs.train_pair(home, "--run", "pair", *EVAL)
    options = [*EVAL, stalling("eval", 9), "train.eval_batch_size=2"]
    pair = runs.start_pair(home, "--run", "told", *options)
    pair[0].wait_for((home / "stalled").exists)
    for run in pair:  # one of them waits in its sample, the other for that one
        run.kill(signal.SIGTERM)
    assert [run.wait(10) for run in pair] == [0, 0], pair[0].said() + pair[1].said()
    assert "stopped on SIGTERM at step 6" in pair[0].said()
    stall.unlink()
    runs.train_pair(home, "--run", "told", *options, "--resume")
    runs.assert_same_weights(runs.weights(home / "told"), runs.weights(home / "pair"))


@pytest.mark.slow
def test_one_process_hears_of_the_signal_that_another_one_got(home: Path, stall: Path) -> None:
    options = [*EVAL, stalling("eval", 1000, each=0.2), "train.eval_batch_size=1", "train.log_every=6"]
    pair = runs.start_pair(home, "--run", "heard", *options)
    pair[0].wait_for("step 6/")
    pair[1].kill(signal.SIGTERM)
    begin = time.monotonic()
    assert [run.wait(10) for run in pair] == [0, 0], pair[0].said() + pair[1].said()
    assert time.monotonic() - begin < 5
    assert "stopped on a signal to another process at step 6" in pair[0].said()


@pytest.mark.slow
def test_a_second_sigint_ends_a_process_that_waits_for_one_that_is_stopped(home: Path) -> None:
    pair = runs.start_pair(home, "--run", "impatient", "train.steps=2000")
    pair[0].wait_for("step 3/")
    pair[1].kill(signal.SIGSTOP)
    try:
        time.sleep(0.2)
        for _ in range(2):
            pair[0].kill(signal.SIGINT)
            time.sleep(0.2)
        begin = time.monotonic()
        assert pair[0].wait(10) == 130, pair[0].said()
        assert time.monotonic() - begin < 6
        assert "Traceback" not in pair[0].said()
    finally:
        pair[1].kill(signal.SIGKILL)
        pair[1].wait()


@pytest.mark.parametrize(("rank", "number", "status"), [(0, signal.SIGTERM, 143), (1, signal.SIGINT, 130)])
def test_a_process_whose_companions_do_not_come_hears_signals(home: Path, rank: int, number: int, status: int) -> None:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    places = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    alone = {"WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank), **places}
    run = runs.start(home, "--run", f"lonely-{rank}", environment=alone)
    run.wait_for(lambda: store.num_keys() > 1)  # it has said that it is there
    time.sleep(0.5)
    run.kill(number)
    assert run.wait(5) == status, run.said()
    assert not (home / f"lonely-{rank}").exists()


#: A command whose processes wait for each other no longer than two seconds.
_IMPATIENT = """
from tp_core.cli.main import run
from tp_core.processes import shared as processes

processes._LIMIT = 2.0
run()
"""


def predicting(home: Path, stopped: int, script: Path | None = None) -> list[runs.Run]:
    """Two processes that predict, of which one has been stopped."""
    (home / "long.txt").write_text("ba be [MASK] bo\n" * 100_000)
    for left in home.glob(".tmp-filled*"):
        left.unlink()
    command = ["predict", "calm", "--input", "long.txt", "--output", "filled.jsonl"]
    pair = runs.start_group([home, home], *command, script=script)
    pair[0].wait_for(lambda: any(home.glob(".tmp-filled*")))
    time.sleep(1)
    pair[stopped].kill(signal.SIGSTOP)
    return pair


def wait_until_idle(run: runs.Run) -> None:
    """Wait until a process has computed nothing for a second."""
    used, since = "", time.monotonic()
    while time.monotonic() - since < 1:
        time.sleep(0.1)
        time_used = Path(f"/proc/{run.pid}/stat").read_text().rpartition(")")[2].split()[11]
        if time_used != used:
            used, since = time_used, time.monotonic()


@pytest.mark.slow
@pytest.mark.parametrize("stopped", [0, 1])
def test_a_command_hears_a_signal_while_another_process_is_stopped(home: Path, stopped: int) -> None:
    pair = predicting(home, stopped)
    try:
        wait_until_idle(pair[1 - stopped])
        pair[1 - stopped].kill(signal.SIGTERM)
        assert pair[1 - stopped].wait(5) == 143
    finally:
        pair[stopped].kill(signal.SIGKILL)
        pair[stopped].wait()


@pytest.mark.slow
def test_a_command_does_not_wait_for_ever_for_a_process_that_is_stopped(home: Path) -> None:
    (home / "impatient.py").write_text(_IMPATIENT)
    pair = predicting(home, 1, home / "impatient.py")
    try:
        assert pair[0].wait(20) == 2
        assert "error: rank 0 waited for rank 1, which did not come within 2 s\n" in pair[0].said()
    finally:
        pair[1].kill(signal.SIGKILL)
        pair[1].wait()


# -- which signals ask for what -------------------------------------------------------------------------------------


def test_only_a_second_sigint_ends_at_once() -> None:
    with StopRequest() as request:
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(os.getpid(), number)
        assert request.name == "SIGTERM"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_is_ignored_from_the_start_stays_ignored(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with StopRequest() as request:
            os.kill(os.getpid(), number)
            assert request.name is None
    finally:
        signal.signal(number, before)


def test_a_further_sigint_at_the_end_of_a_command_leaves_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text(
        "import os, signal, sys, weakref\n"
        "from tp_core.cli.main import run\n"
        "kept = set()\n"
        "weakref.finalize(kept, lambda: (os.kill(os.getpid(), signal.SIGINT), print('went on')))\n"
        "sys.argv = ['tp', 'modules', '--kind', 'converter']\n"
        "run()\n"
    )
    said = runs.run_tp(tmp_path, script=tmp_path / "late.py")
    assert "bert" in said
    assert "Traceback" not in said
    assert "went on" not in said


class _Empty(_Numbered):
    def batch(self, number: int) -> Batch:
        return Batch.of({}, size=1)


def test_a_signal_while_workers_are_forked_is_heard_behind_that(capfd: pytest.CaptureFixture[str]) -> None:
    came, forking = list[int](), [True]

    def fork() -> None:
        # Python prints what is raised in functions like this one, and forgets it.
        os.kill(os.getpid(), signal.SIGTERM)
        came.append(signal.SIGTERM)

    os.register_at_fork(before=lambda: fork() if forking else None)
    try:
        with StopRequest() as request, pytest.raises(InterruptedWaitError), request.ends_waits():
            next(_batches(_Empty(), range(2), 1, 1, False, Patience()))
    finally:
        forking.clear()
    assert came
    assert "Exception ignored" not in capfd.readouterr().err


def test_a_signal_ends_a_wait_once() -> None:
    def wait() -> None:
        with request.ends_waits():
            begun.append(True)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)

    begun: list[bool] = []
    with StopRequest() as request:
        with pytest.raises(InterruptedWaitError):
            wait()
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(InterruptedWaitError):
            wait()
    assert len(begun) == 1  # the second one does not begin


@pytest.mark.slow
def test_nohup_holds_for_a_whole_run(home: Path) -> None:
    command = ["nohup", sys.executable, "-m", "tp_core", "train", "spec.yaml", "--run", "nohup", "train.steps=60"]
    log = home / "nohup.txt"
    with open(log, "wb") as out:
        process = subprocess.Popen(command, cwd=home, env=runs.environment(), stdout=out, stderr=out)
        deadline = time.monotonic() + 60
        while "step 3/" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGHUP)
        assert process.wait(60) == 0
    assert "stopped" not in log.read_text()
