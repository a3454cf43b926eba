"""The environment says which process of how many this is; what is left over there silences nobody."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from tests.core import runs
from tp_core.errors import TPError
from tp_core.processes.launch import VARIABLES, Launch, launch

MISTAKE = "train.stepz=3"
TOLD = "train.stepz: unknown key 'stepz'; did you mean 'steps'?"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.write_project(tmp_path_factory.mktemp("launch"), documents=10, steps=1)


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def place(rank: int, port: str, size: int = 2) -> dict[str, str]:
    return {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}


# -- the variables --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, Launch()),
        ({"RANK": "1"}, Launch()),
        ({"LOCAL_RANK": "3", "RANK": "3", "MASTER_ADDR": "there"}, Launch()),
        ({"WORLD_SIZE": ""}, Launch()),
        ({"WORLD_SIZE": " ", "RANK": "", "LOCAL_RANK": ""}, Launch()),
        ({"WORLD_SIZE": "1"}, Launch()),
        ({"WORLD_SIZE": "1", "RANK": "0", "MASTER_ADDR": "a", "MASTER_PORT": "29500"}, Launch(meeting="a:29500")),
        (
            {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1", "MASTER_ADDR": "a", "MASTER_PORT": "29500"},
            Launch(3, 1, 4, "a:29500"),
        ),
    ],
)
def test_the_environment_says_where_a_process_stands(
    clean: pytest.MonkeyPatch, variables: dict[str, str], expected: Launch
) -> None:
    for name, value in variables.items():
        clean.setenv(name, value)
    assert launch() == expected


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"RANK": "abc"}, "the environment variable RANK is 'abc'; expected an integer of 0 or more"),
        ({"LOCAL_RANK": "-1"}, "the environment variable LOCAL_RANK is '-1'; expected an integer of 0 or more"),
        ({"WORLD_SIZE": "0"}, "the environment variable WORLD_SIZE is '0'; expected an integer of 1 or more"),
        ({"WORLD_SIZE": "2.0"}, "the environment variable WORLD_SIZE is '2.0'"),
        ({"WORLD_SIZE": "²"}, "the environment variable WORLD_SIZE is '²'"),
        ({"WORLD_SIZE": "2"}, "this is one of 2 processes, and RANK and MASTER_ADDR and MASTER_PORT are not set"),
        (
            {"WORLD_SIZE": "2", "RANK": "1", "MASTER_PORT": "29500"},
            "this is one of 2 processes, and MASTER_ADDR is not set",
        ),
        ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK is 2, and must be less than WORLD_SIZE, 2"),
        ({"WORLD_SIZE": "1", "RANK": "1"}, "RANK is 1, and must be less than WORLD_SIZE, 1"),
        ({**place(1, "29500"), "LOCAL_RANK": "2"}, "LOCAL_RANK is 2, and must be less than WORLD_SIZE, 2"),
        (place(1, "70000"), "the environment variable MASTER_PORT is '70000'; expected an integer from 1 to 65535"),
    ],
)
def test_a_variable_that_cannot_be_right_is_named(
    clean: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    for name, value in variables.items():
        clean.setenv(name, value)
    with pytest.raises(TPError, match=re.escape(message)) as caught:
        launch()
    assert str(caught.value).endswith(
        "to work in one process, unset RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT"
    )


# -- one process, with what others left -----------------------------------------------------------------------------


@pytest.mark.parametrize("left", [{"RANK": "1"}, {"LOCAL_RANK": "1"}, {"WORLD_SIZE": "", "RANK": "", "LOCAL_RANK": ""}])
def test_one_process_tells_a_mistake_in_the_spec_whatever_is_left_over(home: Path, left: dict[str, str]) -> None:
    said = runs.run_tp(home, "train", "spec.yaml", MISTAKE, environment=left, status=2)
    assert said.count(TOLD) == 1
    assert "Traceback" not in said


def test_one_process_trains_and_speaks_whatever_is_left_over(home: Path) -> None:
    left = {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": ""}
    said = runs.run_tp(home, "train", "spec.yaml", "--run", "alone", environment=left)
    assert "1 × cpu" in said
    assert said.splitlines()[-1] == "alone/model"


@pytest.mark.parametrize("command", ["check", "train"])
def test_a_variable_that_is_no_number_is_told_by_every_command(home: Path, command: str) -> None:
    said = runs.run_tp(home, command, "spec.yaml", environment={"RANK": "abc"}, status=2)
    assert said.startswith("error: the environment variable RANK is 'abc'")


def test_an_empty_variable_is_none(home: Path) -> None:
    assert "spec.yaml: ok" in runs.run_tp(home, "check", "spec.yaml", environment={"WORLD_SIZE": ""})


def test_a_process_that_nobody_joins_tells_a_mistake_in_the_spec(home: Path) -> None:
    started = [runs.start(home, MISTAKE, environment=place(rank, free_port())) for rank in (0, 1)]
    for run in started:
        assert run.wait(20) == 2
        assert run.said().count(TOLD) == 1
        assert "Traceback" not in run.said()


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_nobody_joins_says_so_after_the_time_of_the_spec(home: Path, rank: int) -> None:
    port = free_port()
    limit = "train.strategy={ddp: {start_timeout: 0.5}}"
    said = runs.run_tp(home, "train", "spec.yaml", "--run", "never", limit, environment=place(rank, port), status=2)
    (error,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert f"WORLD_SIZE says that there are 2 processes, and this is number {rank}" in error
    assert f"127.0.0.1:{port}, and within 0.5 s (train.strategy.ddp.start_timeout)" in error
    assert "Traceback" not in said
    assert not (home / "never").exists()


def test_who_is_missing_is_named_once_where_the_others_meet(home: Path) -> None:
    limit = "train.strategy={ddp: {start_timeout: 1}}"
    two_of_three = {"WORLD_SIZE": "3"}
    started = runs.start_group([home] * 2, "train", "spec.yaml", "--run", "never", limit, environment=two_of_three)
    assert [run.wait() for run in started] == [2, 2]
    errors = [line for run in started for line in run.said().splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "number 2 did not come" in errors[0]


# -- several processes ----------------------------------------------------------------------------------------------


def test_of_two_processes_that_meet_a_mistake_one_speaks(home: Path) -> None:
    said = runs.train_pair(home, MISTAKE, status=2)
    assert said.count(TOLD) == 1


def test_of_two_processes_that_no_torchrun_has_started_one_speaks(home: Path) -> None:
    port = free_port()
    started = [runs.start(home, MISTAKE, environment=place(rank, port)) for rank in (0, 1)]
    assert [run.wait() for run in started] == [2, 2]
    assert "".join(run.said() for run in started).count(TOLD) == 1


def test_two_processes_that_no_torchrun_has_started_train(home: Path) -> None:
    port = free_port()
    started = [runs.start(home, "--run", "own", environment=place(rank, port)) for rank in (0, 1)]
    assert [run.wait() for run in started] == [0, 0], "".join(run.said() for run in started)
    assert "2 × cpu" in started[0].said()
    assert started[1].said() == ""


def test_a_mistake_that_only_the_second_process_meets_is_told_by_it(home: Path) -> None:
    port = free_port()
    limit = "train.strategy={ddp: {start_timeout: 2}}"
    right = runs.start(home, "--run", "half", limit, environment=place(0, port))
    wrong = runs.start(home, MISTAKE, environment=place(1, port))
    assert [right.wait(), wrong.wait()] == [2, 2]
    assert wrong.said().count(TOLD) == 1
    assert "within 2 s" in right.said()


def test_a_run_of_one_process_is_refused_in_two_once(home: Path) -> None:
    said = runs.train_pair(home, "--run", "never", "train.strategy=single", status=2)
    assert said.count("train.strategy: single is for one process, and WORLD_SIZE says that there are 2") == 1
    assert not (home / "never").exists()


@pytest.mark.slow
def test_torchrun_with_a_mistake_in_the_spec_has_one_message(home: Path) -> None:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "tp_core", "--"]
    ended = runs.command(*torchrun, "train", "spec.yaml", MISTAKE, folder=home)
    assert ended.returncode
    assert ended.stderr.count(TOLD) == 1
    (statuses,) = {tuple(re.findall(r"exitcode\s*: (-?\d+)", ended.stderr.partition("Root Cause")[2]))}
    assert statuses == ("2",)
