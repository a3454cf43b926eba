"""A call from Python leaves the process as it was: random numbers, signals, settings of torch, files, and so on."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

import tp_core
from tests.core.process_state import unchanged
from tests.core.runs import assert_same_run, read_spec, start_tp, write_project, write_spec
from tests.core.test_discovery import Shelf
from tp_core import DataError, EncoderConfig, TPError, discovery, load_spec, train
from tp_core.data.build import build_processor, build_tokenizer
from tp_core.data.cache.prepared import prepared_rows
from tp_core.errors import PeerFailedError

HOOKS = """\
from tp_core import HooksConfig, hookimpl

class Config(HooksConfig):
    at: int

    def build(self):
        return self

    @hookimpl
    def tp_model_built(self, model, spec):
        self.stumble(0)

    @hookimpl
    def tp_step_end(self, trainer, step):
        self.stumble(step)

    def stumble(self, step):
        if step == self.at:
            raise RuntimeError("stumbled")
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a run; what is imported by the way, and what libraries do when they are, is done."""
    folder = write_project(tmp_path_factory.mktemp("state"), steps=4, eval_every=2, loggers=["tensorboard"], workers=1)
    spec = read_spec(folder)
    spec["data"]["eval"] = "held_out.txt"
    write_spec(folder, spec)
    (folder / "my_hooks.py").write_text(HOOKS)
    result = train(load_spec(folder / "spec.yaml"), folder / "run")
    tp_core.convert("tp", result.run, "huggingface", folder / "converted")
    tp_core.convert("huggingface", folder / "converted", "tp", folder / "back")
    return folder


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """States that no call would come to by itself."""
    random.seed(17)
    np.random.seed(18)
    torch.manual_seed(19)
    np.random.standard_normal()  # which keeps a second number for the next call
    signal.signal(signal.SIGTERM, _on_signal)
    signal.signal(signal.SIGCHLD, _on_signal)
    limit = csv.field_size_limit(1000)
    yield
    csv.field_size_limit(limit)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _on_signal(number: int, frame: Any) -> None:
    pass


def numbers() -> list[float]:
    return [random.random(), float(np.random.standard_normal()), float(torch.rand(()))]


# -- training ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
def test_training_leaves_nothing_behind(home: Path, tmp_path: Path, workers: int) -> None:
    spec = load_spec(home / "spec.yaml", [f"train.workers={workers}"])
    with unchanged():
        train(spec, tmp_path / "run")
    with unchanged():
        train(spec, tmp_path / "run", resume=True)


@pytest.mark.parametrize("workers", [0, 2])
def test_training_that_fails_leaves_nothing_behind(
    home: Path, tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)  # which the hooks of the command line are beside
    options = [f"train.workers={workers}", "train.hooks=[{my_hooks:Config: {at: 3}}]"]
    spec = load_spec(home / "spec.yaml", options)
    with unchanged(), pytest.raises(RuntimeError, match="stumbled"):
        train(spec, tmp_path / "run")
    with unchanged(), pytest.raises(TPError, match="already holds a run"):  # before anything is set up
        train(spec, tmp_path / "run")
    spec = load_spec(home / "spec.yaml", ["train.hooks=[{my_hooks:Config: {at: 0}}]"])
    with unchanged(), pytest.raises(RuntimeError, match="stumbled"):  # when the run is seeded and not yet begun
        train(spec, tmp_path / "other")


def test_a_random_search_tries_different_points(home: Path, tmp_path: Path) -> None:
    expected = [numbers() for _ in range(3)]
    random.seed(17)
    np.random.seed(18)
    torch.manual_seed(19)
    np.random.standard_normal()
    found = []
    for trial in range(3):
        found.append(numbers())
        train(load_spec(home / "spec.yaml", [f"train.seed={trial}", "train.steps=1"]), tmp_path / str(trial))
    assert found == expected


def test_a_run_does_not_depend_on_the_random_numbers_before_it(home: Path, tmp_path: Path) -> None:
    numbers()
    train(load_spec(home / "spec.yaml"), tmp_path / "run")
    assert_same_run(tmp_path / "run", home / "run")


ANOTHER = """\
import threading
from tp_core import HooksConfig, TPError, hookimpl, load_spec, train

class Config(HooksConfig):
    folder: str

    def build(self):
        return self

    @hookimpl
    def tp_step_end(self, trainer, step):
        if step == 1:
            thread = threading.Thread(target=self.train)
            thread.start()
            thread.join()

    def train(self):
        try:
            train(load_spec(self.folder + "/spec.yaml"), self.folder + "/other")
        except TPError as error:
            with open(self.folder + "/said", "w") as file:
                file.write(str(error))
"""


def test_a_second_training_at_the_same_time_is_refused_and_changes_nothing(home: Path, tmp_path: Path) -> None:
    for name in ("corpus.txt", "held_out.txt", "vocab.txt"):
        (tmp_path / name).write_bytes((home / name).read_bytes())
    spec = read_spec(home)
    write_spec(tmp_path, spec)
    (tmp_path / "another.py").write_text(ANOTHER)
    with_hook = {**spec, "train": {**spec["train"], "hooks": [{"another:Config": {"folder": str(tmp_path)}}]}}
    (tmp_path / "with_hook.json").write_text(json.dumps(with_hook))
    train(load_spec(tmp_path / "with_hook.json"), tmp_path / "run")
    assert "another thread of this process is training" in (tmp_path / "said").read_text()
    assert not (tmp_path / "other").exists()
    assert_same_run(tmp_path / "run", home / "run")
    assert train(load_spec(tmp_path / "spec.yaml"), tmp_path / "other").step == 4


def test_the_workers_of_a_second_run_are_watched_like_those_of_the_first(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    handlers = """\
import signal
from tp_core import HooksConfig, hookimpl

class Config(HooksConfig):
    def build(self):
        return self

    @hookimpl
    def tp_step_end(self, trainer, step):
        assert "DataLoader" in signal.getsignal(signal.SIGCHLD).__globals__["__doc__"]
"""
    (home / "my_watch.py").write_text(handlers)
    spec = load_spec(home / "spec.yaml", ["train.hooks=my_watch:Config", "train.workers=1"])
    for run in ("one", "two"):
        train(spec, tmp_path / run)
        assert signal.getsignal(signal.SIGCHLD) is _on_signal


# -- the other calls ---------------------------------------------------------------------------------------------------

TEXTS = ["[MASK] be bi", "do [MASK]"]


def _prepare(home: Path, folder: Path) -> None:
    spec = load_spec(home / "spec.yaml")
    processor = build_processor(spec, build_tokenizer(spec))
    assert processor is not None
    prepared_rows(spec, processor, str(home / "corpus.txt"))


CALLS: dict[str, Callable[[Path, Path], Any]] = {
    "load_spec": lambda home, folder: load_spec(home / "spec.yaml"),
    "load_model": lambda home, folder: tp_core.load_model(home / "run"),
    "build_model": lambda home, folder: tp_core.build_model(load_spec(home / "spec.yaml")),
    "prepared_rows": _prepare,
    "predict": lambda home, folder: list(tp_core.predict(home / "run", TEXTS)),
    "half of predict": lambda home, folder: next(tp_core.predict(home / "run", TEXTS)),
    "embed": lambda home, folder: tp_core.embed(home / "run", TEXTS),
    "evaluate": lambda home, folder: tp_core.evaluate(home / "run", str(home / "held_out.txt")),
    "convert": lambda home, folder: tp_core.convert("tp", home / "run", "huggingface", folder / "made"),
    "convert back": lambda home, folder: tp_core.convert("huggingface", home / "converted", "tp", folder / "made"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_call_leaves_nothing_behind(home: Path, tmp_path: Path, call: Callable[[Path, Path], Any]) -> None:
    with unchanged():
        call(home, tmp_path)


FAILING: dict[str, Callable[[Path, Path], Any]] = {
    "load_model": lambda home, folder: tp_core.load_model(folder),
    "predict": lambda home, folder: list(tp_core.predict(home / "run", [{"other": 1}])),
    "embed": lambda home, folder: tp_core.embed(home / "run", [{"other": 1}]),
    "evaluate": lambda home, folder: tp_core.evaluate(home / "run", str(folder / "nothing.txt")),
    "generate": lambda home, folder: tp_core.generate(home / "run", TEXTS),
    "convert": lambda home, folder: tp_core.convert("huggingface", folder, "tp", folder / "made"),
}


@pytest.mark.parametrize("call", FAILING.values(), ids=FAILING.keys())
def test_a_call_that_fails_leaves_nothing_behind(home: Path, tmp_path: Path, call: Callable[[Path, Path], Any]) -> None:
    with unchanged(), pytest.raises(TPError):
        call(home, tmp_path)


def test_tables_with_long_cells_leave_the_limit_of_others(tmp_path: Path) -> None:
    from tp_core.data.sources.records import BadRecords, read_records

    (tmp_path / "long.csv").write_text("text,label\n" + "a" * 5000 + ",1\nb,2\n")
    found = []
    for record in read_records([str(tmp_path / "long.csv")], {}, BadRecords("fatal")):
        found.append(len(record.value["text"]))
        assert csv.field_size_limit() == 1000
    assert found == [5000, 1]
    (tmp_path / "broken.csv").write_text('text\n"never closed\n')
    with pytest.raises(DataError):
        list(read_records([str(tmp_path / "broken.csv")], {}, BadRecords("fatal")))
    assert csv.field_size_limit() == 1000


def test_a_recurrent_model_with_projections_adds_no_filter_of_warnings(tmp_path: Path) -> None:
    from tests.building import CONTENT, READOUT, build
    from tp_core.testing import random_batch

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        encoder = {"lstm": {"cell_size": 32, "num_layers": 1}}
        parts = {"hidden_size": 16, "vocab_size": 41, "embedding": [CONTENT], "encoder": encoder, "target": [READOUT]}
        model = build(tmp_path, parts)
        model(random_batch(model, lengths=[3, 2]))
        assert list(warnings.filters) == before


# -- what a second call finds ------------------------------------------------------------------------------------------


def test_a_package_that_is_installed_in_the_meantime_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text("model: {hidden_size: 16, vocab_size: 50, embedding: word, encoder: {acme.late: {num_heads: 2}}}\n")
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    try:
        with pytest.raises(TPError, match=r"unknown encoder 'acme\.late'"):
            load_spec(file)
        Shelf(site).encoder("acme-late", offers="acme.late")
        assert isinstance(load_spec(file).model.streams[""].encoder.config, EncoderConfig)
    finally:
        sys.modules.pop("acme_late", None)
        monkeypatch.undo()
        discovery.refresh()
    assert "acme.late" not in discovery.index().names("encoder")


def test_files_that_change_between_two_calls_are_read_again(home: Path, tmp_path: Path) -> None:
    folder = write_project(tmp_path, steps=1)
    spec = read_spec(folder)
    words = (folder / "vocab.txt").read_text()
    sizes = []
    for text in (words, words + "zebra\n"):
        (folder / "vocab.txt").write_text(text)
        sizes.append(load_spec(folder / "spec.yaml").model.vocab_size)
    assert sizes[1] == sizes[0] + 1
    corpus = (folder / "corpus.txt").read_text()
    losses = []
    train(load_spec(folder / "spec.yaml"), folder / "run")
    for text in (corpus, corpus.replace("ba", "zebra").replace("be", "zebra")):
        (folder / "corpus.txt").write_text(text)
        losses.append(tp_core.evaluate(folder / "run", str(folder / "corpus.txt"))["loss"])
    assert losses[0] != losses[1]
    spec["model"]["hidden_size"] = 32
    write_spec(folder, spec)
    train(load_spec(folder / "spec.yaml"), folder / "wide")
    for name in ("run", "wide"):  # the same folder, with another model in it
        (folder / "used").unlink(missing_ok=True)
        (folder / "used").symlink_to(folder / name)
        assert tp_core.embed(folder / "used", ["ba"]).shape == (1, 16 if name == "run" else 32)


# -- several processes -------------------------------------------------------------------------------------------------


STORE = """
import signal
import torch.distributed as dist
store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
print(store.port, flush=True)
signal.pause()
"""


@pytest.fixture
def torchrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The store of torchrun's agent: in a process of its own, as its sockets are closed a moment after the run's."""
    (tmp_path / "agent.py").write_text(STORE)
    agent = start_tp(tmp_path, script=tmp_path / "agent.py")
    try:
        agent.wait_for("\n")
        given = {"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0", "TORCHELASTIC_USE_AGENT_STORE": "True"}
        given |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": agent.said().strip()}
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        yield
    finally:
        agent.kill()
        agent.wait()


@pytest.mark.usefixtures("torchrun")
def test_runs_of_one_process_under_torchrun_do_not_meet(home: Path, tmp_path: Path) -> None:
    spec = load_spec(home / "spec.yaml", ["train.strategy=ddp", "train.steps=1", "train.workers=0"])
    train(spec, tmp_path / "warm")
    with unchanged():
        train(spec, tmp_path / "run")
    for _ in range(2):  # the second is not told that another process has failed
        with unchanged(), pytest.raises(TPError, match="already holds a run") as caught:
            train(spec, tmp_path / "run")
        assert not isinstance(caught.value, PeerFailedError)
    assert not dist.is_initialized()


@pytest.mark.usefixtures("torchrun")
def test_a_process_group_of_the_caller_is_not_touched(home: Path, tmp_path: Path) -> None:
    dist.init_process_group("gloo", rank=0, world_size=1)
    try:
        with pytest.raises(TPError, match="this process has one already"):
            train(load_spec(home / "spec.yaml", ["train.strategy=ddp"]), tmp_path / "run")
        assert dist.is_initialized()
        train(load_spec(home / "spec.yaml", ["train.strategy=single", "train.steps=1"]), tmp_path / "run")
        assert dist.is_initialized()
    finally:
        dist.destroy_process_group()
    assert "MASTER_PORT" in os.environ
