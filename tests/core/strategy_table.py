"""The strategies of the table of tests, and a project that all of them train."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from tests.core import runs

HERE = Path(__file__).parent


class Case(NamedTuple):
    """A strategy, and the number of processes that it is tested with."""

    processes: int
    strategy: str


#: All strategies with their options; the first of each kind is in the default suite.
CASES = {
    "ddp": Case(2, "ddp"),
    "fsdp": Case(2, "fsdp"),
    "fsdp-kept": Case(2, "{fsdp: {reshard_after_forward: false}}"),
    "fsdp-offload": Case(2, "{fsdp: {cpu_offload: true}}"),
    "fsdp-hybrid": Case(4, "{fsdp: {sharding: hybrid, group_size: 2}}"),
    "tensor-parallel": Case(2, "tensor_parallel"),
    "fsdp-tensor-parallel": Case(4, "{fsdp: {tensor_parallel: 2}}"),
    "zero0": Case(2, "{deepspeed: {stage: 0}}"),
    "zero1": Case(2, "{deepspeed: {stage: 1}}"),
    "zero2": Case(2, "{deepspeed: {stage: 2}}"),
    "zero3": Case(2, "{deepspeed: {stage: 3}}"),
    "zero-offload": Case(2, "{deepspeed: {stage: 3, offload_optimizer: cpu, offload_weights: cpu}}"),
}

SMOKE = ["fsdp", "tensor-parallel", "zero2"]


def write_home(folder: Path) -> Path:
    """A project with an evaluation of uneven batches, clipped gradients, and weights that two modules share."""
    options = {"steps": 8, "batch_size": 8, "accumulate": 2, "log_every": 1, "clip_norm": 0.5, "eval_every": 4}
    runs.write_project(folder, **options, checkpoint_every=4, keep_checkpoints=5, eval_batch_size=5)
    spec = runs.read_spec(folder)
    spec["model"]["dropout"] = 0.0
    spec["data"]["eval"] = "held_out.txt"
    runs.write_spec(folder, spec)
    for name in ("sudden_death.py", "nan_target.py", "own_divided.py", "keep_whole.py"):
        shutil.copy(HERE / name, folder)
    return folder


def train(home: Path, case: str, run: str, *overrides: str, status: int = 0) -> str:
    """Train under a strategy to the end; what the processes said. The case ``single`` is one process."""
    if case == "single":
        return runs.train(home, "--run", run, *overrides, status=status)
    processes, strategy = CASES[case]
    arguments = ("train", "spec.yaml", "--run", run, f"train.strategy={strategy}", *overrides)
    return runs.run_group(home, *arguments, count=processes, status=status)


def start(home: Path, case: str, run: str, *overrides: str) -> list[runs.Run]:
    """Start the processes of a run under a strategy."""
    processes, strategy = CASES[case]
    arguments = ("train", "spec.yaml", "--run", run, f"train.strategy={strategy}", *overrides)
    return runs.start_group([home] * processes, *arguments)


def without_last(home: Path, run: str, copy: str) -> None:
    """Copy a run as if it had ended after its checkpoint before the last."""
    shutil.copytree(home / run, home / copy)
    shutil.rmtree(home / copy / "checkpoints" / runs.checkpoints(home / copy)[-1])
    shutil.rmtree(home / copy / "model")


def worst(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> float:
    """The largest relative difference of a figure of two runs with the same lines."""
    largest = 0.0
    for own, other in zip(found, expected, strict=True):
        assert own.keys() == other.keys()
        for key, value in other.items():
            if isinstance(value, (int, float)):
                largest = max(largest, abs(own[key] - value) / max(abs(value), 1e-3))
    return largest


def write_two_sets(home: Path) -> None:
    """``sets.yaml``: two data sets in turn, each with targets of its own. SGD has no count of updates."""
    rows = "".join(f"{word}\t{number % 2}\n" for number, word in enumerate(runs.WORDS))
    (home / "labelled.tsv").write_text("text\tlabel\n" + rows)
    running = {"processor": {"bert": {"max_length": 32}}, "train": "corpus.txt", "targets": ["mlm", "sp"]}
    labelled = {"processor": {"cls": {"max_length": 16}}, "train": "labelled.tsv", "targets": ["cls"]}
    spec = runs.read_spec(home)
    for key in ("processor", "train", "eval"):
        spec["data"].pop(key, None)
    spec["data"]["sets"] = {"one": running, "two": labelled}
    spec["model"]["target"] = ["mlm", "sp", "cls"]
    del spec["train"]["eval_every"]
    spec["train"]["optimizer"] = {"sgd": {"lr": 0.3}}
    (home / "sets.yaml").write_text(json.dumps(spec))
