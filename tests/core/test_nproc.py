"""``--nproc`` and other launchers: processes are started, get signals, and end with the status of the run."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.core import runs
from tp_core.cli.nproc import without_option

LONG = ["train.steps=4000", "train.checkpoint_every=null"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = runs.write_project(tmp_path_factory.mktemp("nproc"), steps=6)
    runs.train(folder, "--run", "single", "model.dropout=0.0")
    return folder


def tp(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return runs.command("-m", "tp_core", *arguments, folder=home)


def started(home: Path, run: str) -> subprocess.Popen[str]:
    """A run of two processes that has come to step 12."""
    arguments = [sys.executable, "-m", "tp_core", "train", "spec.yaml", "--nproc", "2", "--run", run, *LONG]
    log = home / f"{run}.txt"
    process = subprocess.Popen(arguments, cwd=home, env=runs.environment(), stderr=log.open("w"), text=True)
    until = time.monotonic() + 60
    while "step 12/" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until
        time.sleep(0.05)
    return process


def test_two_processes_train_as_one(home: Path) -> None:
    ended = tp(home, "train", "spec.yaml", "--run", "two", "--nproc=2", "model.dropout=0.0")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"{Path('two', 'model')}\n"
    assert "2 × cpu" in ended.stderr
    last, expected = runs.metrics(home / "two")[-1], runs.metrics(home / "single")[-1]
    assert last == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train.stepss=1"], "unknown key 'stepss'; did you mean 'steps'?"),
        (["--run", "single"], "already holds a run"),
        pytest.param(
            ["train.batch_size=7"], "train.batch_size 7 is not divisible by 2 processes", marks=pytest.mark.slow
        ),
        pytest.param(
            ["train.strategy=single"],
            "single is for one process, and WORLD_SIZE says that there are 2",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_an_error_is_told_once_and_is_the_status(home: Path, arguments: list[str], message: str) -> None:
    ended = tp(home, "train", "spec.yaml", "--nproc", "2", "--run", "never", *arguments)
    assert ended.returncode == 2
    assert ended.stderr.count(message) == 1
    assert "Traceback" not in ended.stderr
    assert "torch.distributed" not in ended.stderr


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_a_wrong_number_is_refused(home: Path, value: str) -> None:
    ended = tp(home, "train", "spec.yaml", f"--nproc={value}")
    assert ended.returncode == 2
    assert f"expected a number of processes, or auto for one on each GPU; got '{value}'" in ended.stderr


def test_a_process_of_a_launcher_starts_no_others(home: Path) -> None:
    place = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}
    said = runs.train(home, "--nproc", "2", status=2, environment=place)
    assert "--nproc starts processes, and this is one of 1 already" in said


def test_the_option_is_not_passed_on() -> None:
    given = ["train", "--nproc", "2", "spec.yaml", "--run", "x", "train.seed=1", "--nproc=4"]
    assert without_option(given) == ["train", "spec.yaml", "--run", "x", "train.seed=1"]


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_saves_and_stops_all_processes(home: Path, number: signal.Signals) -> None:
    process = started(home, number.name)
    process.send_signal(number)
    assert process.wait(60) == 0
    last = (home / f"{number.name}.txt").read_text().splitlines()[-1]
    assert last.startswith("stopped on ")  # either process may have got the signal first
    assert last.endswith("the run is saved and goes on with --resume")
    assert len(runs.checkpoints(home / number.name)) == 1


@pytest.mark.slow
def test_sigusr1_saves_and_a_killed_process_is_named(home: Path) -> None:
    process = started(home, "saves")
    process.send_signal(signal.SIGUSR1)
    until = time.monotonic() + 30
    while not (home / "saves" / "checkpoints").is_dir() or not runs.checkpoints(home / "saves"):
        assert time.monotonic() < until
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[1]), signal.SIGKILL)
    assert process.wait(60) == 128 + signal.SIGKILL
    said = (home / "saves.txt").read_text()
    assert "error: process 1 was ended by SIGKILL; the others were stopped" in said


@pytest.mark.slow
def test_processes_save_and_stop_when_the_command_is_killed(home: Path) -> None:
    process = started(home, "orphans")
    process.kill()
    process.wait()
    until = time.monotonic() + 60
    while "the run is saved and goes on with --resume" not in (home / "orphans.txt").read_text():
        assert time.monotonic() < until
        time.sleep(0.1)
    checkpoints = home / "orphans" / "checkpoints"
    while not [path for path in checkpoints.iterdir() if path.name.startswith("step_")]:
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.slow
def test_two_agents_of_torchrun_meet(home: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = ["--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-id", "run"]
    arguments = [sys.executable, "-m", "torch.distributed.run", *place, "--rdzv-endpoint", f"127.0.0.1:{port}"]
    arguments += [
        "-m",
        "tp_core",
        "--",
        "train",
        "spec.yaml",
        "--run",
        "agents",
        "train.strategy=fsdp",
        "model.dropout=0.0",
    ]
    both = [
        subprocess.Popen(arguments, cwd=home, env=runs.environment(), stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert runs.metrics(home / "agents")[-1] == pytest.approx(runs.metrics(home / "single")[-1], rel=1e-5)


@pytest.mark.slow
def test_the_launcher_of_deepspeed_starts_a_run(home: Path) -> None:
    (home / "hosts").write_text("localhost slots=2\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = [sys.executable, "-m", "deepspeed.launcher.launch", "--master_addr=127.0.0.1", f"--master_port={port}"]
    world = base64.urlsafe_b64encode(json.dumps({"localhost": [0, 1]}).encode()).decode()
    launcher += [f"--world_info={world}", "--module", "tp_core"]
    arguments = [*launcher, "train", "spec.yaml", "--run", "launched", "model.dropout=0.0"]
    ended = runs.command(*arguments[1:], folder=home)
    assert ended.returncode == 0, ended.stderr
    assert runs.metrics(home / "launched")[-1] == pytest.approx(runs.metrics(home / "single")[-1], rel=1e-5)


@pytest.mark.slow
def test_processes_that_do_not_meet_say_so_in_time(home: Path) -> None:
    place = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "9"}
    for strategy in ("fsdp", "deepspeed"):
        limit = f"train.strategy={{{strategy}: {{start_timeout: 2}}}}"
        said = runs.train(home, "--run", "never", limit, status=2, environment=place)
        assert f"within 2 s (train.strategy.{strategy}.start_timeout) nothing answers there" in said
        assert not (home / "never").exists()


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ("{fsdp: {tensor_parallel: 3}}", "2 processes cannot be divided into groups of 3, which compute each sample"),
        ("{fsdp: {sharding: hybrid, group_size: 3}}", "2 processes cannot be divided into groups of 3"),
        ("{fsdp: {tensor_parallel: 2, cpu_offload: true}}", "cpu_offload: needs more than 2 processes"),
        ("{fsdp: {group_size: 2}}", "group_size: is for sharding: hybrid"),
        ("{deepspeed: {config: {gradient_clipping: 5}}}", "has gradient_clipping: 5, and train.clip_norm says 1.0"),
        ("{deepspeed: {config: {optimizer: {}}}}", "has 'optimizer', which the spec decides at train.optimizer"),
        ("{deepspeed: {offload_optimizer: nvme}}", "nvme_path: is needed for nvme"),
        ("{deepspeed: {config: {zero_optimization: 5}}}", "has zero_optimization: 5; expected a mapping of options"),
        ("{deepspeed: {config: {gradient_cliping: 5}}}", "did you mean 'gradient_clipping'?"),
        (
            "{deepspeed: {config: {zero_optimization: {offload_optimizer: {device: cpu}}}}}",
            "offload_optimizer.device: cpu, and train.strategy.deepspeed.offload_optimizer says none",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused_once(home: Path, strategy: str, message: str) -> None:
    said = runs.run_group(home, "train", "spec.yaml", "--run", "never", f"train.strategy={strategy}", status=2)
    assert said.count(message) == 1, said
    assert "Traceback" not in said
    assert not (home / "never").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        (
            "{deepspeed: {stage: 3, offload_optimizer: nvme, nvme_path: /tmp}}",
            "train.strategy.deepspeed: nvme needs the library libaio",
        ),
        (
            "{deepspeed: {config: {zero_optimization: {overlap_com: true}}}}",
            "train.strategy.deepspeed.config: zero_optimization: overlap_com: Extra inputs are not permitted",
        ),
    ],
)
def test_what_deepspeed_refuses_is_told_once(home: Path, strategy: str, message: str) -> None:
    if "nvme" in strategy and Path("/usr/include/libaio.h").exists():
        pytest.skip("libaio is installed")
    said = runs.run_group(home, "train", "spec.yaml", "--run", "never", f"train.strategy={strategy}", status=2)
    assert said.count(message) == 1, said
    assert not (home / "never").exists()


@pytest.mark.parametrize("strategy", ["ddp", "fsdp", "tensor_parallel", "deepspeed"])
def test_a_strategy_for_several_processes_says_how_to_start_them(home: Path, strategy: str) -> None:
    said = runs.train(home, "--run", "never", f"train.strategy={strategy}", status=2)
    assert f"train.strategy: {strategy} needs several processes: tp train SPEC --nproc 2" in said


def test_heads_that_do_not_divide_name_the_module(home: Path) -> None:
    heads = ["model.encoder={transformer: {num_heads: 1, num_layers: 2}}", "train.strategy=tensor_parallel"]
    said = runs.run_group(home, "train", "spec.yaml", "--run", "never", *heads, status=2)
    assert said.count("encoder.layers.0.mixer: 1 key-value heads cannot be divided among 2 processes") == 1
    assert not (home / "never").exists()


def test_deepspeed_that_is_missing_is_named(home: Path) -> None:
    (home / "hidden").mkdir()
    (home / "hidden" / "deepspeed.py").write_text("raise ImportError('no such package')")
    script = home / "without.py"
    code = "import sys; sys.path.insert(0, 'hidden'); sys.modules.pop('deepspeed', None)\n"
    code += "sys.argv = ['tp', 'train', 'spec.yaml', '--run', 'never', 'train.strategy=deepspeed']\n"
    script.write_text(code + "from tp_core.cli.start import run\nrun()\n")
    group = runs.start_group([home] * 2, script=script)
    assert [run.wait() for run in group] == [2, 2]
    said = "".join(run.said() for run in group)
    assert said.count("deepspeed cannot be imported (no such package): pip install 'tp-core[deepspeed]'") == 1
