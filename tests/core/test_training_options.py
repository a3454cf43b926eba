"""The effects of the keys of ``train:`` on a run."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.core import runs
from tests.core.installed import option_class
from tp_core.inference.evaluate import evaluate
from tp_core.model import build_model
from tp_core.options.optimizer import OptimizerConfig
from tp_core.spec.load import load_spec
from tp_core.spec.sections.train import TrainOptions
from tp_core.training.optimizers.build import build_optimizer
from tp_core.training.strategies.options import SingleConfig
from tp_core.training.strategies.single import SingleStrategy
from tp_core.training.strategies.update import Update

HELPERS = ("nan_target.py", "recorder.py", "sudden_death.py")
DEATH = "train.hooks=[sudden_death:Config]"
RECORDER = "train.hooks=[recorder:Config]"
NO_DROPOUT = "model.dropout=0"
EVAL = "data.eval=held_out.txt"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with an undisturbed run, ``calm``."""
    folder = runs.write_project(tmp_path_factory.mktemp("options"))
    for helper in HELPERS:
        shutil.copy(Path(__file__).with_name(helper), folder)
    runs.train(folder, "--run", "calm")
    return folder


def losses(run: Path) -> list[float]:
    return [line["loss"] for line in runs.metrics(run) if "loss" in line]


def die_after(home: Path, step: int, run: str, *changes: str) -> None:
    """Start a run that kills itself after a step."""
    (home / "death.json").write_text(json.dumps(["step_end", step]))
    runs.train(home, "--run", run, DEATH, *changes, status=-9)


# -- precision ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_like_full_and_resumes_exactly(home: Path, precision: str) -> None:
    change = f"train.precision={precision}"
    runs.train(home, "--run", precision, change)
    # The first updates of fp16 are not applied while the scale of the loss is found.
    assert losses(home / precision) == pytest.approx(losses(home / "calm"), rel=0.03)
    assert runs.metrics(home / precision) != runs.metrics(home / "calm")
    heavy = [change, "model.target=[mlm: {weight: 1000.0}, sp]"]  # makes the scale of fp16 fall
    runs.train(home, "--run", f"{precision}-heavy", *heavy)
    die_after(home, 12, f"{precision}-killed", *heavy)
    runs.train(home, "--run", f"{precision}-killed", "--resume", *heavy)
    runs.assert_same_run(home / f"{precision}-killed", home / f"{precision}-heavy")


def scale_at(run: Path, step: int) -> tuple[float, int]:
    state = torch.load(run / "checkpoints" / f"step_{step:06d}" / "trainer.pt", weights_only=True)["scale"]
    return state["scale"].item(), state["streak"].item()


def test_the_loss_scale_of_fp16_falls_until_gradients_fit_and_no_bad_update_is_applied(home: Path) -> None:
    """Gradients of a loss that is weighted by 1000 overflow at the first scale."""
    changes = ["train.precision=fp16", "model.target=[mlm: {weight: 1000.0}, sp]", "train.keep_checkpoints=99"]
    runs.train(home, "--run", "overflow", *changes, "train.checkpoint_every=1", "train.log_every=1")
    run = home / "overflow"
    states = [scale_at(run, step) for step in range(1, 21)]
    bad = [step for step in range(1, 21) if states[step - 1][1] == 0]
    assert bad[0] == 1
    assert states[0][0] == 65536 / 2
    assert states[-1] == (65536 / 2 ** len(bad), 20 - bad[-1])
    initial = build_model(load_spec(home / "spec.yaml", changes)).weights()
    runs.assert_same_weights(runs.checkpoint_weights(run, 1), initial)
    assert runs.metrics(run)[0]["grad_norm"] is None
    good = runs.checkpoint_weights(run, 20)
    assert all(torch.isfinite(value).all() for value in good.values())
    assert any(not torch.equal(value, initial[name]) for name, value in good.items())


def parameter_and_update(name: str, clip: float | None, half: bool = False, **options: Any) -> tuple[Any, Update]:
    config = option_class("optimizer", name)(**{"lr": 0.1, "weight_decay": 0.0, **options})
    assert isinstance(config, OptimizerConfig)
    parameters = [nn.Parameter(torch.linspace(-1, 1, 12).reshape(3, 4)), nn.Parameter(torch.ones(5))]
    strategy = SingleStrategy(SingleConfig())
    strategy.setup(TrainOptions(device="cpu"))
    optimizer = build_optimizer(config, [{"params": parameters}])
    return parameters, Update(optimizer, strategy, clip, half)


def some_gradients(count: int) -> Iterator[list[torch.Tensor]]:
    """Gradients for the two parameters, of norms from 0.1 to 30."""
    generator = torch.Generator().manual_seed(0)
    for step in range(count):
        factor = 0.03 * 3 ** (step % 6)
        yield [torch.randn(3, 4, generator=generator) * factor, torch.randn(5, generator=generator) * factor]


def test_the_loss_scale_doubles_after_a_run_of_good_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tp_core.training.strategies.update._GROWTH_INTERVAL", 3)
    parameters, update = parameter_and_update("adamw", 1.0, half=True)
    scales = []
    for step, gradients in enumerate(some_gradients(9)):
        for parameter, gradient in zip(parameters, gradients):
            parameter.grad = gradient * (float("inf") if step == 4 else 1.0)
        update(0.1)
        assert update.scale is not None
        scales.append(update.scale.item() / 65536)
    assert scales == [1, 1, 2, 2, 1, 1, 1, 2, 2]


# -- clipping and updates -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("name", ["adamw", "sgd", "lion", "adafactor"])
def test_clipping_follows_torch(name: str, half: bool) -> None:
    parameters, update = parameter_and_update(name, 1.0, half)
    reference, plain = parameter_and_update(name, None)
    for gradients in some_gradients(12):
        for parameter, other, gradient in zip(parameters, reference, gradients):
            parameter.grad = gradient * (65536.0 if half else 1.0)
            other.grad = gradient.clone()
        expected = nn.utils.clip_grad_norm_(reference, 1.0)
        norm, bad = update(0.1)
        plain.optimizer.step()
        assert norm.item() == pytest.approx(expected.item(), rel=1e-6)
        assert not bad
        for parameter, other in zip(parameters, reference):
            torch.testing.assert_close(parameter, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["adamw", "sgd", "lion", "adafactor"])
@pytest.mark.parametrize("when", [0, 2])
def test_an_update_with_a_gradient_that_is_not_finite_leaves_no_trace(name: str, value: float, when: int) -> None:
    disturbed, update = parameter_and_update(name, 1.0)
    calm, other = parameter_and_update(name, 1.0)
    for step, gradients in enumerate(some_gradients(5)):
        if step == when:
            for parameter, gradient in zip(disturbed, gradients):
                parameter.grad = gradient.clone()
            disturbed[0].grad[1, 1] = value
            before = [parameter.detach().clone() for parameter in disturbed]
            assert update(0.1)[1]
            assert all(torch.equal(parameter, old) for parameter, old in zip(disturbed, before))
        for parameters, each in ((disturbed, update), (calm, other)):
            for parameter, gradient in zip(parameters, gradients):
                parameter.grad = gradient.clone()
            each(0.1)
    assert all(torch.equal(parameter, same) for parameter, same in zip(disturbed, calm))


def test_no_clipping_is_not_the_same_as_clipping(home: Path) -> None:
    runs.train(home, "--run", "unclipped", "train.clip_norm=null")
    assert losses(home / "unclipped")[-1] != losses(home / "calm")[-1]


# -- what is not finite ---------------------------------------------------------------------------------------------


def with_nan_at(step: int, **options: Any) -> str:
    more = "".join(f", {name}: {str(value).lower()}" for name, value in options.items())
    return f"model.target=[mlm, sp, nan_target:Config: {{step: {step}{more}}}]"


@pytest.mark.parametrize(
    ("gradient", "workers", "blame"),
    [(False, 0, "the loss of target 'nan_target:Config'"), (True, 0, "a gradient"), (True, 2, "a gradient")],
)
def test_a_run_stops_at_a_loss_or_gradient_that_is_not_finite(
    home: Path, gradient: bool, workers: int, blame: str
) -> None:
    run = f"stop-{gradient}-{workers}"
    changes = [RECORDER, with_nan_at(7, gradient=gradient), f"train.workers={workers}"]
    said = runs.train(home, "--run", run, *changes, "train.checkpoint_every=6", status=2)
    assert said.splitlines()[-1].startswith(f"error: step 7: {blame} is not finite; the update was not applied")
    assert "Traceback" not in said
    failed = torch.load(home / "failed.pt", weights_only=True)
    runs.assert_same_weights(failed, runs.checkpoint_weights(home / run, 6))


def test_a_step_that_is_not_finite_is_skipped_and_left_out_of_the_means(home: Path) -> None:
    every = ["train.checkpoint_every=1", "train.keep_checkpoints=99", "train.on_nan=skip", with_nan_at(6)]
    said = runs.train(home, "--run", "skip", *every)
    assert said.count("is not finite; the update was not applied") == 1
    assert "step 6: the loss of target 'nan_target:Config' is not finite" in said
    at = {step: runs.checkpoint_weights(home / "skip", step) for step in (5, 6, 7)}
    runs.assert_same_weights(at[6], at[5])
    assert any(not torch.equal(value, at[6][name]) for name, value in at[7].items())
    runs.train(home, "--run", "skip-each", *every, "train.log_every=1")
    each = {line["step"]: line for line in runs.metrics(home / "skip-each")}
    window = {line["step"]: line for line in runs.metrics(home / "skip")}[6]
    assert each[6]["loss"] is None
    assert each[6]["grad_norm"] is None
    assert window["loss"] == pytest.approx((each[4]["loss"] + each[5]["loss"]) / 2)


# -- evaluation and early stopping ----------------------------------------------------------------------------------


def test_evaluations_during_training_are_logged_and_do_not_change_the_training(home: Path) -> None:
    runs.train(home, "--run", "evaluated", EVAL, "train.eval_every=5")
    lines = runs.metrics(home / "evaluated")
    evaluations = [line for line in lines if "eval/loss" in line]
    assert [line["step"] for line in evaluations] == [5, 10, 15, 20]
    assert evaluations[0].keys() >= {"epoch", "samples", "eval/loss/mlm", "eval/loss/sp", "eval/mlm/accuracy"}
    assert [line for line in lines if "eval/loss" not in line] == runs.metrics(home / "calm")
    runs.assert_same_weights(runs.weights(home / "evaluated"), runs.weights(home / "calm"))
    found = evaluate(home / "evaluated" / "model", str(home / "held_out.txt"), batch_size=8)
    assert found == pytest.approx({k[5:]: v for k, v in evaluations[-1].items() if k.startswith("eval/")}, rel=1e-5)


@pytest.mark.parametrize(("restore", "exported"), [(True, 4), (False, 12)])
def test_a_run_stops_when_an_evaluation_is_not_better_for_long_and_exports_the_best(
    home: Path, restore: bool, exported: int
) -> None:
    run = f"early-{restore}"
    stopping = f"train.early_stopping={{patience: 2, min_delta: 9.0, restore_best: {str(restore).lower()}}}"
    changes = [EVAL, stopping, "train.eval_every=4", "train.keep_checkpoints=1", "train.checkpoint_every=2"]
    said = runs.train(home, "--run", run, *changes)
    assert "stopped early: loss has not improved for 2 evaluations; the best was " in said
    assert " at step 4" in said
    assert ("exporting the weights of step 4" in said) == restore
    assert runs.checkpoints(home / run) == ["step_000004", "step_000012"]
    runs.assert_same_weights(runs.weights(home / run), runs.checkpoint_weights(home / run, exported))


def test_a_damaged_best_checkpoint_is_not_exported(home: Path) -> None:
    stopping = "train.early_stopping={patience: 2, min_delta: 9.0}"
    changes = [EVAL, stopping, "train.eval_every=4", "train.checkpoint_every=2"]
    runs.train(home, "--run", "damaged", *changes)
    os.truncate(home / "damaged" / "checkpoints" / "step_000004" / "model.safetensors", 1000)
    said = runs.train(home, "--run", "damaged", "--resume", *changes)
    assert "the best checkpoint, step_000004, cannot be used (model.safetensors has 1000 bytes" in said
    runs.assert_same_weights(runs.weights(home / "damaged"), runs.checkpoint_weights(home / "damaged", 12))


# -- memory and speed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dropout", ["0", "0.1"])
def test_activation_checkpointing_changes_nothing(home: Path, dropout: str) -> None:
    for name, value in (("kept", "false"), ("recomputed", "true")):
        options = [f"model.dropout={dropout}", f"train.activation_checkpointing={value}"]
        runs.train(home, "--run", f"{name}-{dropout}", *options)
    runs.assert_same_run(home / f"recomputed-{dropout}", home / f"kept-{dropout}")


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="torch compiles with a C++ compiler")
def test_a_compiled_model_learns_the_same(home: Path) -> None:
    # Batches of one shape, so that torch compiles once.
    options = [NO_DROPOUT, "data.processor.bert.pad=max_length", "model.encoder.transformer.num_layers=1"]
    runs.train(home, "--run", "eager", *options)
    run = runs.start(home, "--run", "compiled", *options, "train.compile=true")
    assert run.wait(400) == 0, run.said()
    assert losses(home / "compiled") == pytest.approx(losses(home / "eager"), rel=1e-4)
    assert runs.weights(home / "compiled").keys() == runs.weights(home / "eager").keys()
