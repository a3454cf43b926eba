"""Tests that the interface of strategies can shard: a strategy that cuts all weights trains what ``single`` trains."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.core import runs
from tp_core import build_model, load_spec

SHARDED = ("train.strategy=own_sharding:ShardingConfig",)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of 12 steps: by one process, by two with sharded weights, and two that are each continued by the other."""
    folder = tmp_path_factory.mktemp("sharding")
    runs.write_project(folder, steps=12, checkpoint_every=6, keep_checkpoints=5, clip_norm=0.5, accumulate=2)
    spec = runs.read_spec(folder)
    spec["model"] |= {"dropout": 0.0}  # each process draws its own
    spec["data"]["eval"] = "held_out.txt"
    spec["train"] |= {"eval_every": 6, "hooks": ["own_sharding_hook:PartsConfig"]}
    runs.write_spec(folder, spec)
    here = Path(__file__).parent
    for name in ("own_sharding.py", "own_sharding_hook.py", "own_passes.py"):
        shutil.copy(here / name, folder)
    runs.train(folder, "--run", "single")
    runs.train_pair(folder, "--run", "sharded", *SHARDED)
    for first, second in (("single", "sharded"), ("sharded", "single")):
        run = folder / f"{first}-then-{second}"
        shutil.copytree(folder / first, run)
        shutil.rmtree(run / "checkpoints" / "step_000012")
        shutil.rmtree(run / "model")
        going_on = (
            "--run",
            run.name,
            "--resume",
            "--allow-change",
            "strategy",
            *(SHARDED if second == "sharded" else ()),
        )
        (runs.train_pair if second == "sharded" else runs.train)(folder, *going_on)
    return folder


def test_each_process_holds_a_part_of_the_weights(home: Path) -> None:
    shares = [json.loads((home / f"parts-{rank}.json").read_text()) for rank in range(2)]
    assert all(0.4 < share < 0.6 for share in shares)
    assert sum(shares) == pytest.approx(1)


def test_initial_values_are_those_of_single(home: Path) -> None:
    expected = build_model(load_spec(home / "spec.yaml")).weights()
    runs.assert_same_weights(load_file(str(home / "initial.safetensors")), expected)


def test_losses_gradients_and_evaluations_are_those_of_single(home: Path) -> None:
    for ours, theirs in zip(runs.metrics(home / "sharded"), runs.metrics(home / "single"), strict=True):
        assert ours == pytest.approx(theirs, rel=2e-5, nan_ok=True)


@pytest.mark.parametrize("run", ["sharded", "single-then-sharded", "sharded-then-single"])
def test_weights_are_those_of_single_also_where_another_strategy_goes_on(home: Path, run: str) -> None:
    expected = runs.weights(home / "single")
    found = runs.weights(home / run)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=2e-4, atol=2e-5)


def test_a_run_that_goes_on_is_the_uninterrupted_one_bit_for_bit(home: Path) -> None:
    run = home / "resumed"
    shutil.copytree(home / "sharded", run)
    shutil.rmtree(run / "checkpoints" / "step_000012")
    shutil.rmtree(run / "model")
    runs.train_pair(home, "--run", "resumed", "--resume", *SHARDED)
    runs.assert_same_run(run, home / "sharded")


def test_a_run_starts_from_the_weights_of_another(home: Path) -> None:
    said = runs.train_pair(home, "--run", "begun", *SHARDED, "init_from=single/model", "train.steps=1")
    assert "loaded 38 weights from" in said
    first = json.loads((home / "begun" / "metrics.jsonl").read_text().splitlines()[0])
    expected = runs.train(home, "--run", "begun-alone", "init_from=single/model", "train.steps=1")
    assert "loaded 38 weights from" in expected
    alone = json.loads((home / "begun-alone" / "metrics.jsonl").read_text().splitlines()[0])
    assert first["loss"] == pytest.approx(alone["loss"], rel=1e-5)
    assert first["loss"] < runs.metrics(home / "single")[0]["loss"]


@pytest.mark.parametrize("hook", ["own_passes:AdversarialConfig", "fgm", "pgd"])
def test_further_passes_read_and_move_sharded_weights(home: Path, hook: str) -> None:
    adversarial = (f"train.hooks=[{hook}]", "train.steps=4", "train.accumulate=2")
    alone, sharded = hook.partition(":")[0], f"{hook.partition(':')[0]}-sharded"
    runs.train(home, "--run", alone, *adversarial)
    runs.train(home, "--run", f"{alone}-plain", *adversarial[1:], "train.hooks=[]")
    runs.train_pair(home, "--run", sharded, *SHARDED, *adversarial)
    ours, theirs, plain = (runs.metrics(home / name) for name in (sharded, alone, f"{alone}-plain"))
    for own, expected in zip(ours, theirs, strict=True):
        assert own == pytest.approx(expected, rel=2e-5, nan_ok=True)
    assert theirs != plain


@pytest.mark.parametrize("size", [64, 5])
def test_an_evaluation_needs_no_equal_number_of_batches(home: Path, size: int) -> None:
    """Held-out data of one batch for two processes, and of several that do not divide."""
    options = (f"train.eval_batch_size={size}", "train.hooks=[]", "train.steps=1", "train.timeout=60s")
    runs.train(home, "--run", f"eval-{size}", *options)
    runs.train_pair(home, "--run", f"eval-{size}-sharded", *SHARDED, *options)
    ours, theirs = (runs.metrics(home / f"eval-{size}{name}") for name in ("-sharded", ""))
    assert any("eval/loss" in line for line in theirs)
    for own, expected in zip(ours, theirs, strict=True):
        assert own == pytest.approx(expected, rel=2e-5, nan_ok=True)
