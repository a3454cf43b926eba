"""Loggers show what a run measures, go on where it does, and stop no training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.core import runs
from tp_core import SpecError, TPError, load_spec
from tp_core.training.loggers.base import LoggedRun, Logger
from tp_core.training.loggers.options import MLflowConfig, WandbConfig
from tp_core.training.loggers.several import Loggers

PICTURE = torch.arange(3 * 4 * 5, dtype=torch.uint8).reshape(3, 4, 5)


class Recorded(Logger):
    """Keeps what it is told; raises where it is asked to."""

    def __init__(self, fails: str = "") -> None:
        self.fails, self.heard = fails, list[tuple[Any, ...]]()

    def _hear(self, *what: Any) -> None:
        if what[0] == self.fails:
            raise ConnectionError("the service is gone")
        self.heard.append(what)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self._hear("scalars", step, dict(values))

    def picture(self, step: int, name: str, pixels: Tensor) -> None:
        self._hear("picture", step, name)

    def text(self, step: int, name: str, text: str) -> None:
        self._hear("text", step, name, text)

    def close(self) -> None:
        self._hear("close")


def test_a_logger_gets_numbers_by_step_and_nothing_else() -> None:
    one = Recorded()
    Loggers({"one": one}, lambda _: None).scalars(3, {"step": 3, "loss": 0.5, "name": "x", "on": True, "samples": 24})
    assert one.heard == [("scalars", 3, {"loss": 0.5, "samples": 24.0})]


@pytest.mark.parametrize("fails", ["scalars", "picture", "text", "close"])
def test_one_that_fails_is_told_once_and_left_out_and_the_others_go_on(fails: str) -> None:
    bad, good, said = Recorded(fails), Recorded(), list[str]()
    both = Loggers({"bad": bad, "good": good}, said.append)
    for step in (1, 2):
        both.scalars(step, {"loss": 1.0})
        both.picture(step, "seen", PICTURE)
        both.text(step, "read", "words")
    both.close()
    assert len(good.heard) == 7
    why = "the logger 'bad' has failed and is left out from here on: ConnectionError: the service is gone"
    assert said == [why]


def test_wandb_gets_the_spec_and_every_value_offline_and_goes_on_under_its_id(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    spec = {"model": {"hidden_size": 16}, "train": {"steps": 4}}
    config = WandbConfig(mode="offline", project="tests")
    for step in (0, 2):
        logger = config.build(LoggedRun(tmp_path, "tiny", spec, step))
        logger.scalars(step + 1, {"loss": 0.5})
        logger.picture(step + 1, "seen", PICTURE)
        logger.text(step + 1, "read", "<b>")
        logger.close()
    folders = sorted((tmp_path / "wandb").glob("offline-run-*"))
    name = (tmp_path / "wandb.id").read_text().strip()
    assert folders
    # Of two runs in the same second, wandb gives the folder of the later one the end -1.
    assert all(folder.name.removesuffix("-1").endswith(name) for folder in folders)
    written = b"".join(file.read_bytes() for folder in folders for file in folder.glob("*.wandb"))
    assert b"hidden_size" in written
    assert b"loss" in written


def test_mlflow_gets_the_spec_and_every_value_and_goes_on_under_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where MLflow keeps its files
    mlflow = pytest.importorskip("mlflow")
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    spec = {"model": {"hidden_size": 16}, "train": {"steps": 4}, "many": {f"p{n}": n for n in range(150)}}
    config = MLflowConfig(tracking_uri=store, experiment="tests", tags={"team": "a"})
    for step in (0, 2):
        logger = config.build(LoggedRun(tmp_path, "tiny", spec, step))
        logger.scalars(step + 1, {"loss": 0.5 + step, "lr": 0.1})
        logger.text(step + 1, "read", "words")
        logger.close()
    client = mlflow.MlflowClient(store)
    (run,) = client.search_runs([client.get_experiment_by_name("tests").experiment_id])
    assert run.info.run_id == (tmp_path / "mlflow.id").read_text().strip()
    assert run.info.status == "FINISHED"
    assert run.data.params == {
        "model.hidden_size": "16",
        "train.steps": "4",
        **{f"many.p{n}": str(n) for n in range(150)},
    }
    assert run.data.tags["team"] == "a"
    assert [(each.step, each.value) for each in client.get_metric_history(run.info.run_id, "loss")] == [
        (1, 0.5),
        (3, 2.5),
    ]


@pytest.mark.parametrize(("config", "library"), [(WandbConfig(), "wandb"), (MLflowConfig(), "mlflow")])
def test_a_library_that_is_not_installed_is_named_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: Any, library: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(TPError, match=rf"pip install 'tp-core\[{library}\]'"):
        config.build(LoggedRun(tmp_path, "tiny", {}))


def test_a_spec_without_loggers_has_tensorboard_and_an_empty_list_none(tmp_path: Path) -> None:
    home = runs.write_project(tmp_path)
    spec = runs.read_spec(home)
    del spec["train"]["loggers"]
    assert [each.name for each in load_spec({**spec, "data": {}}).train.loggers] == ["tensorboard"]
    for none in ([], None):
        assert load_spec({**spec, "data": {}, "train": {"loggers": none}}).train.loggers == ()


def test_an_unknown_logger_is_answered_with_the_nearest() -> None:
    with pytest.raises(SpecError, match="unknown logger 'wandbb'; did you mean 'wandb'"):
        load_spec("bert-tiny", ["train.loggers=[wandbb]"])


def test_a_logger_of_a_file_beside_the_spec_hears_a_run_and_its_resumption(tmp_path: Path) -> None:
    home = runs.write_project(tmp_path, steps=6, log_every=3, checkpoint_every=3)
    (home / "mine.py").write_text(LOCAL)
    spec = runs.read_spec(home)
    spec["train"]["loggers"] = [{"mine:LinesConfig": {"file": "heard.jsonl"}}]
    runs.write_spec(home, spec)
    runs.train(home, "--run", "run")
    heard = [json.loads(line) for line in (home / "run" / "heard.jsonl").read_text().splitlines()]
    assert [each["step"] for each in heard if "loss" in each["values"]] == [3, 6]
    runs.train(home, "--run", "run", "train.steps=9", "--resume", "--allow-change", "steps")
    heard = [json.loads(line) for line in (home / "run" / "heard.jsonl").read_text().splitlines()]
    assert [each["step"] for each in heard if "loss" in each["values"]] == [3, 6, 9]
    lines = {each["step"]: each["loss"] for each in runs.metrics(home / "run") if "loss" in each}
    assert {each["step"]: each["values"]["loss"] for each in heard if "loss" in each["values"]} == lines


LOCAL = '''
import json
from typing import ClassVar

from tp_core.options.logger import LoggerConfig
from tp_core.training.loggers.base import Logger


class LinesConfig(LoggerConfig):
    """Lines of JSON."""

    file: str

    def build(self, run):
        return Lines(run.folder / self.file)


class Lines(Logger):
    def __init__(self, file):
        self.file = file.open("a")

    def scalars(self, step, values):
        self.file.write(json.dumps({"step": step, "values": dict(values)}) + "\\n")

    def picture(self, step, name, pixels):
        pass

    def text(self, step, name, text):
        pass

    def close(self):
        self.file.close()
'''
