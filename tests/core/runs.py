"""Tiny training runs in processes of their own, which tests can kill, resume and compare."""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from safetensors.torch import load_file

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [f"{first}{second}" for first in "bdfgklmn" for second in ("a", "e", "i", "o", "u", "an", "on")]

_store: Any = None  # lives as long as the two processes that use it

#: Values in ``metrics.jsonl`` that depend on the clock.
CLOCK = {"tokens_per_second", "samples_per_second", "mfu"}

_ROOT = Path(__file__).resolve().parents[2]


# -- a project: corpus, vocabulary, spec ------------------------------------------------------------------------


def write_corpus(path: Path, documents: int, seed: int = 0) -> None:
    """Documents of 2 to 5 sentences with a blank line between them; words follow each other by a rule, mostly."""
    rng = np.random.default_rng(seed)
    lines = []
    for _ in range(documents):
        for _ in range(rng.integers(2, 6)):
            word, sentence = int(rng.integers(len(WORDS))), []
            for _ in range(rng.integers(3, 9)):
                sentence.append(WORDS[word])
                word = (word * 3 + 1) % len(WORDS) if rng.random() < 0.8 else int(rng.integers(len(WORDS)))
            lines.append(" ".join(sentence))
        lines.append("")
    path.write_text("\n".join(lines))


def write_project(folder: Path, documents: int = 60, **train: Any) -> Path:
    """A folder with ``corpus.txt``, ``held_out.txt``, ``vocab.txt`` and ``spec.yaml``: a tiny BERT with dropout.

    Args:
        train: keys of ``train:``, over the defaults here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_corpus(folder / "corpus.txt", documents)
    write_corpus(folder / "held_out.txt", 12, seed=1)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in [*SPECIAL, *WORDS]))
    spec: dict[str, Any] = {
        "model": {
            "hidden_size": 16,
            "num_layers": 2,
            "num_heads": 2,
            "feed_forward_size": 32,
            "embedding": ["word", {"pos": {"max_length": 32}}, "seg"],
            "encoder": "transformer",
            "target": ["mlm", "sp"],
        },
        "data": {
            "tokenizer": {"space": {"vocab": "vocab.txt"}},
            "processor": {"bert": {"max_length": 32}},
            "train": "corpus.txt",
            "cache": "cache",
        },
        "train": {
            "steps": 20,
            "batch_size": 8,
            "log_every": 3,
            "checkpoint_every": 5,
            "loggers": [],
            "optimizer": {"adamw": {"lr": 0.01}},
            "schedule": {"linear": {"warmup": 0.1}},
            **train,
        },
    }
    write_spec(folder, spec)
    return folder


def read_spec(folder: Path) -> dict[str, Any]:
    spec: dict[str, Any] = yaml.safe_load((folder / "spec.yaml").read_text())
    return spec


def write_spec(folder: Path, spec: dict[str, Any]) -> None:
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))


# -- processes ----------------------------------------------------------------------------------------------------


def environment() -> dict[str, str]:
    """The environment of the tests, with one thread."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": str(_ROOT)}


class _Server:
    """The process that forks the others; one for all tests."""

    _one: _Server | None = None

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("fork_server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        atexit.register(self.process.kill)
        assert self._answer() == "ready"

    @classmethod
    def one(cls) -> _Server:
        if cls._one is None:
            cls._one = cls()
        return cls._one

    def ask(self, **request: Any) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())


@dataclass
class Run:
    """A ``tp`` process, forked from one that has torch imported already."""

    pid: int
    log: Path

    def said(self) -> str:
        """All that it wrote so far, to standard output and error."""
        return self.log.read_text()

    def wait(self, seconds: float = 60) -> int:
        """Its exit status; negative for a signal. A process that does not end is killed, and fails the test."""
        status = _Server.one().ask(wait=self.pid, seconds=seconds)
        if status is None:
            os.kill(self.pid, signal.SIGUSR2)  # the process writes down where it is
            time.sleep(1)
            os.killpg(self.pid, signal.SIGKILL)
            _Server.one().ask(wait=self.pid, seconds=5)
            raise AssertionError(f"still running after {seconds} s:\n{self.said()}")
        return int(status)

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.pid, number)

    def wait_for(self, happened: Callable[[], bool] | str, seconds: float = 30) -> None:
        """Wait until the process has said something, or until a condition holds."""
        holds = happened if callable(happened) else lambda: happened in self.said()
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"never happened: {happened}\n{self.said()}"
            time.sleep(0.002)


def start(
    folder: Path,
    *arguments: str,
    spec: str = "spec.yaml",
    file_limit: int | None = None,
    environment: dict[str, str] | None = None,
) -> Run:
    """Start ``tp train SPEC ARGUMENTS`` in a project's folder (:func:`start_tp`)."""
    return start_tp(folder, "train", spec, *arguments, file_limit=file_limit, environment=environment)


def start_tp(
    folder: Path,
    *arguments: str,
    file_limit: int | None = None,
    environment: dict[str, str] | None = None,
    script: Path | None = None,
) -> Run:
    """Start ``tp ARGUMENTS`` in a folder.

    Args:
        file_limit: the largest file that it may write, in bytes.
        environment: variables to add.
        script: a file to run instead of ``tp``.
    """
    server = _Server.one()
    log = folder / f"log-{time.monotonic_ns()}.txt"
    log.touch()
    pid = server.ask(
        arguments=list(arguments),
        folder=str(folder),
        log=str(log),
        environment=environment or {},
        file_limit=file_limit,
        script=None if script is None else str(script),
    )
    return Run(pid, log)


def train(folder: Path, *arguments: str, status: int = 0, **options: Any) -> str:
    """Run ``tp train SPEC ARGUMENTS`` to its end, which must have the given status; what it said."""
    run = start(folder, *arguments, **options)
    found = run.wait()
    assert found == status, f"status {found} instead of {status}:\n{run.said()}"
    return run.said()


def start_pair(folder: Path, *arguments: str, other: Path | None = None) -> list[Run]:
    """Two processes that train together (:func:`start_group`), the second in a folder of its own, ``other``, if any."""
    return start_group([folder, other or folder], "train", "spec.yaml", *arguments)


def start_group(folders: list[Path], *arguments: str, **options: Any) -> list[Run]:
    """``tp ARGUMENTS`` in a process per folder, as torchrun would start them: the store they meet at is not theirs.

    Args:
        options: of :func:`start_tp`.
    """
    global _store
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    _store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    size = str(len(folders))
    shared = {"WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "TORCHELASTIC_USE_AGENT_STORE": "True"}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_store.port), **options.pop("environment", {})}
    return [
        start_tp(folder, *arguments, environment={**shared, "RANK": str(n), "LOCAL_RANK": str(n)}, **options)
        for n, folder in enumerate(folders)
    ]


def run_tp(folder: Path, *arguments: object, status: int = 0, **options: Any) -> str:
    """Run ``tp ARGUMENTS`` (:func:`start_tp`) to its end, which must have the given status; what it said."""
    return _ended([start_tp(folder, *map(str, arguments), **options)], status)


def run_code(folder: Path, code: str, **options: Any) -> str:
    """Run Python code in a process like ``tp``'s (:func:`start_tp`), which must end well; what it said."""
    script = folder / "script.py"
    script.write_text(code)
    return run_tp(folder, script=script, **options)


def run_group(folder: Path, *arguments: object, count: int = 2, status: int = 0, **options: Any) -> str:
    """Run ``tp ARGUMENTS`` in several processes (:func:`start_group`) to their end; what all of them said."""
    return _ended(start_group([folder] * count, *map(str, arguments), **options), status)


def _ended(started: list[Run], status: int) -> str:
    found = [run.wait() for run in started]
    said = "".join(run.said() for run in started)
    assert found == [status] * len(started), f"{found} instead of {status}:\n{said}"
    return said


def train_pair(folder: Path, *arguments: str, status: int = 0, other: Path | None = None) -> str:
    """Two processes to their end; what both said."""
    pair = start_pair(folder, *arguments, other=other)
    found = [run.wait() for run in pair]
    said = "".join(run.said() for run in pair)
    assert found == [status, status], f"{found} instead of {status}:\n{said}"
    return said


def command(*arguments: str, folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """The real command line: ``python ARGUMENTS`` in a new interpreter."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


# -- what a run leaves behind ---------------------------------------------------------------------------------------


def weights(run: Path) -> dict[str, torch.Tensor]:
    """The exported weights of a run."""
    return load_file(str(run / "model" / "model.safetensors"))


def checkpoint_weights(run: Path, step: int) -> dict[str, torch.Tensor]:
    return load_file(str(run / "checkpoints" / f"step_{step:06d}" / "model.safetensors"))


def metrics(run: Path) -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl`` without what depends on the clock."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in CLOCK} for line in lines]


def checkpoints(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def assert_same_weights(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    different = [name for name, value in expected.items() if not torch.equal(found[name], value)]
    assert not different, f"weights differ: {different}"


def assert_same_run(found: Path, expected: Path) -> None:
    """Two runs ended with the same weights and wrote the same metrics, bit for bit."""
    assert_same_weights(weights(found), weights(expected))
    assert metrics(found) == metrics(expected)
