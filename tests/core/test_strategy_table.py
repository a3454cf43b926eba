"""Every strategy trains what one process trains, and continues, fails and moves like it."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest
import torch

from tests.core import runs, strategy_table
from tests.core.strategy_table import CASES, SMOKE, train, without_last, worst

CHECKED = [pytest.param(name, marks=() if name in SMOKE else pytest.mark.slow) for name in CASES]
ALL = [pytest.param(name, marks=pytest.mark.slow) for name in CASES]
#: One of each kind, also with groups of processes in two dimensions.
KINDS = ["ddp", "fsdp", "fsdp-hybrid", "fsdp-tensor-parallel", "zero0", "zero1", "zero3"]
EACH = [pytest.param(name, marks=pytest.mark.slow) for name in ("ddp", "fsdp", "tensor-parallel", "zero2", "zero3")]

DROPOUT = "model.dropout=0.1"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = strategy_table.write_home(tmp_path_factory.mktemp("table"))
    train(folder, "single", "single")
    return folder


def errors(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("error:")]


# -- the same training ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CHECKED)
def test_losses_norms_evaluations_and_weights_are_those_of_one_process(home: Path, case: str) -> None:
    said = train(home, case, case)
    assert worst(runs.metrics(home / case), runs.metrics(home / "single")) < 2e-5
    found, expected = runs.weights(home / case), runs.weights(home / "single")
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)
    assert "Warning" not in said


@pytest.mark.slow
@pytest.mark.parametrize("case", KINDS)
def test_micro_batches_add_up_to_the_same_steps(home: Path, case: str) -> None:
    train(home, case, f"{case}-whole", "train.accumulate=1")
    assert worst(runs.metrics(home / f"{case}-whole"), runs.metrics(home / "single")) < 2e-5


@pytest.mark.parametrize("case", EACH)
def test_half_precision_is_near_that_of_one_process(home: Path, case: str) -> None:
    half = "train.precision=bf16"
    if not (home / "single-half").exists():
        train(home, "single", "single-half", half)
    train(home, case, f"{case}-half", half)
    assert worst(runs.metrics(home / f"{case}-half"), runs.metrics(home / "single-half")) < 3e-2


@pytest.mark.parametrize("case", EACH)
def test_recomputed_activations_change_nothing(home: Path, case: str) -> None:
    for how in ("true", "selective"):
        train(home, case, f"{case}-{how}", f"train.activation_checkpointing={how}")
        assert worst(runs.metrics(home / f"{case}-{how}"), runs.metrics(home / "single")) < 2e-5


@pytest.mark.slow
@pytest.mark.parametrize("case", [*(name for name in KINDS if name != "zero3"), "tensor-parallel", "zero2"])
def test_data_sets_in_turn_train_as_in_one_process(home: Path, case: str) -> None:
    strategy_table.write_two_sets(home)
    if not (home / "single-sets").exists():
        runs.run_tp(home, "train", "sets.yaml", "--run", "single-sets")
    processes, strategy = CASES[case]
    run = f"{case}-sets"
    runs.run_group(home, "train", "sets.yaml", "--run", run, f"train.strategy={strategy}", count=processes)
    assert worst(runs.metrics(home / run), runs.metrics(home / "single-sets")) < 2e-5


@pytest.mark.slow
def test_stage_3_refuses_a_step_that_does_not_use_all_weights(home: Path) -> None:
    strategy_table.write_two_sets(home)
    strategy = f"train.strategy={CASES['zero3'].strategy}"
    said = runs.run_group(home, "train", "sets.yaml", "--run", "zero3-sets", strategy, status=2)
    (message,) = errors(said)
    assert "3 needs the gradients of all weights in each step, and this batch does not use 'targets." in message


@pytest.mark.parametrize("case", EACH)
def test_a_run_starts_from_the_weights_of_another(home: Path, case: str) -> None:
    said = train(home, case, f"{case}-begun", "init_from=single/model", "train.steps=1")
    assert "loaded 38 weights from" in said
    if not (home / "single-begun").exists():
        train(home, "single", "single-begun", "init_from=single/model", "train.steps=1")
    assert worst(runs.metrics(home / f"{case}-begun"), runs.metrics(home / "single-begun")) < 2e-5


@pytest.mark.parametrize("case", EACH)
def test_early_stopping_exports_the_best_weights(home: Path, case: str) -> None:
    early = ["train.eval_every=1", "train.early_stopping={patience: 1}", "train.optimizer.adamw.lr=0.3"]
    if not (home / "single-early").exists():
        train(home, "single", "single-early", *early)
    said = train(home, case, f"{case}-early", *early)
    assert "the best evaluation" in said
    ours, theirs = (runs.metrics(home / f"{name}-early") for name in (case, "single"))
    assert [line["step"] for line in ours] == [line["step"] for line in theirs]
    for name, value in runs.weights(home / "single-early").items():
        torch.testing.assert_close(runs.weights(home / f"{case}-early")[name], value, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["tensor-parallel"])
@pytest.mark.parametrize(
    "layer",
    [
        "feed_forward: own_divided:Config",
        "mixer: {attention: {num_heads: 2, positions: relative}}, share_layers: true",
        "mixer: {attention: {num_heads: 4, num_key_value_heads: 2, positions: rotary, query_key_norm: rmsnorm}}, "
        "norm: rmsnorm, norm_position: pre, feed_forward: gated, parallel: true",
        "mixer: {attention: {num_heads: 2, positions: alibi, bias: false}}",
        "mixer: {attention: {num_heads: 2, residual: true, positions: relative}}",
        "mixer: fourier",
    ],
)
def test_all_kinds_of_layers_are_divided_or_whole(home: Path, case: str, layer: str) -> None:
    number = sum(map(ord, layer)) % 997
    encoder = f"model.encoder={{transformer: {{num_layers: 2, {layer}}}}}"
    if not (home / f"single-{number}").exists():
        train(home, "single", f"single-{number}", encoder)
    said = train(home, case, f"{case}-{number}", encoder)
    assert worst(runs.metrics(home / f"{case}-{number}"), runs.metrics(home / f"single-{number}")) < 2e-5
    assert "these modules are not divided, and each process computes them whole: embedding.parts.word" in said
    assert ("encoder.layers.1 (1,152" in said) == ("residual" in layer)


@pytest.mark.slow
def test_dropout_of_divided_values_differs_and_that_of_whole_ones_does_not(home: Path) -> None:
    """Weights that every process has stay the same on all of them, so a resumed run of any of them is the same."""
    train(home, "tensor-parallel", "dropping", "model.dropout=0.2", "train.hooks=[keep_whole:Config]")
    one, other = (torch.load(home / f"whole-{rank}.pt", weights_only=True) for rank in range(2))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


# -- going on ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ALL)
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(home: Path, case: str) -> None:
    train(home, case, f"{case}-calm", DROPOUT)
    without_last(home, f"{case}-calm", f"{case}-resumed")
    said = train(home, case, f"{case}-resumed", DROPOUT, "--resume")
    assert "at step 4 of 8" in said
    runs.assert_same_run(home / f"{case}-resumed", home / f"{case}-calm")


@pytest.mark.parametrize("case", EACH)
def test_checkpoints_in_the_background_are_those_of_a_run_that_waits(home: Path, case: str) -> None:
    run = f"{case}-background"
    train(home, case, run, "train.save_in_background=true")
    without_last(home, run, f"{run}-resumed")
    train(home, case, f"{run}-resumed", "--resume")
    runs.assert_same_run(home / f"{run}-resumed", home / run)


@pytest.mark.slow
def test_a_run_moves_between_strategies_and_numbers_of_processes(home: Path) -> None:
    """Each checkpoint is continued by another strategy; the losses are those of a single process."""
    order = ["fsdp", "single", "ddp", "fsdp-tensor-parallel", "zero3", "fsdp-hybrid", "zero1", "tensor-parallel"]
    allowed = ["--resume", "--allow-change", "strategy,accumulate"]
    common = ["train.checkpoint_every=1", "train.hooks=[sudden_death:Config]", "train.accumulate=1"]
    for number, case in enumerate(order, 1):
        if number < len(order):
            (home / "death.json").write_text(json.dumps(["save", number + 1]))
        last = number == len(order)
        given = [*common, *(allowed if number > 1 else [])]
        if case == "single":
            run = [runs.start(home, "--run", "moves", *given)]
        else:
            run = strategy_table.start(home, case, "moves", *given)
        ended = [each.wait() for each in run]
        assert (set(ended) == {0}) if last else (-signal.SIGKILL in ended), "".join(each.said() for each in run)
    found = {line["step"]: line for line in runs.metrics(home / "moves") if "loss" in line}
    for line in runs.metrics(home / "single"):
        if "loss" in line:
            assert found[line["step"]]["loss"] == pytest.approx(line["loss"], rel=1e-4)
    for name, value in runs.weights(home / "single").items():
        torch.testing.assert_close(runs.weights(home / "moves")[name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("case", ["single", *EACH])
def test_a_run_that_saves_in_the_background_is_saved_when_it_fails(home: Path, case: str) -> None:
    """The message names the checkpoint of the step, which is there."""
    run, rank = f"{case}-fails", 0 if case == "single" else 1
    target = f"model.target=[mlm, sp, {{nan_target:Config: {{step: 11, rank: {rank}}}}}]"
    said = train(home, case, run, target, "train.save_in_background=true", status=2)
    assert "The state after step 6 is saved in" in said
    assert "step_000006, and --resume goes on after it" in said
    assert runs.checkpoints(home / run)[-1] == "step_000006"


# -- failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", EACH)
def test_a_loss_that_is_not_finite_on_one_process_stops_all_or_skips_the_step(home: Path, case: str) -> None:
    target = "model.target=[mlm, sp, {nan_target:Config: {step: 5, rank: 1}}]"
    said = train(home, case, f"{case}-nan", target, status=2)
    (message,) = errors(said)
    assert "the loss of target 'nan_target:Config' is not finite" in message
    said = train(home, case, f"{case}-skips", target, "train.on_nan=skip")
    assert said.count("is not finite; the update was not applied") == 1
    weights = runs.weights(home / f"{case}-skips")
    assert all(bool(torch.isfinite(value).all()) for value in weights.values())


@pytest.mark.parametrize("case", EACH)
def test_a_process_that_dies_ends_the_others_and_the_run_goes_on(home: Path, case: str) -> None:
    run = f"{case}-dies"
    slow = ["train.steps=400", "train.checkpoint_every=5", "train.eval_every=null", "data.eval=null"]
    group = strategy_table.start(home, case, run, *slow)
    group[0].wait_for("step 12/")
    group[1].kill()
    assert group[1].wait() == -signal.SIGKILL
    assert group[0].wait() == 2
    (message,) = errors(group[0].said())
    assert message == "error: the connection to another process of the run was lost"
    said = train(home, case, run, *slow, "--resume", "train.steps=20", "--allow-change", "steps")
    assert f"resuming {run} at step 1" in said


@pytest.mark.parametrize("case", EACH)
def test_a_process_that_hangs_ends_the_run_in_time(home: Path, case: str) -> None:
    slow = [
        "train.steps=4000",
        "train.timeout=3s",
        "train.eval_every=null",
        "data.eval=null",
        "train.checkpoint_every=null",
    ]
    group = strategy_table.start(home, case, f"{case}-hangs", *slow, "train.timeout=3s")
    group[0].wait_for("step 12/")
    group[1].kill(signal.SIGSTOP)
    try:
        assert group[0].wait(30) == 2
    finally:
        group[1].kill(signal.SIGKILL)
        group[1].wait()
    (message,) = errors(group[0].said())
    assert "waited for rank 1, which did not come within 3 s" in message


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "event", "background"),
    [
        ("fsdp", ["save", 4, 1], "false"),
        ("fsdp", ["file", 1, 1], "false"),
        ("fsdp", ["file", 3, 0], "true"),
        ("fsdp", ["file", 8, 0], "false"),
        ("fsdp", ["file", 2, 1], "true"),
        ("fsdp-tensor-parallel", ["file", 1, 3], "false"),
        ("zero3", ["file", 1, 0], "true"),
        ("zero3", ["save", 4, 1], "false"),
    ],
)
def test_a_process_that_dies_while_a_checkpoint_is_written_leaves_whole_ones(
    home: Path, case: str, event: list[object], background: str
) -> None:
    run = f"{case}-{'-'.join(map(str, event))}-{background}"
    options = [
        f"train.save_in_background={background}",
        "train.hooks=[sudden_death:Config]",
        "train.checkpoint_every=2",
    ]
    if not (home / f"{case}-every").exists():
        train(home, case, f"{case}-every", *options)
    options.append(f"train.save_in_background={background}")
    (home / "death.json").write_text(json.dumps(event))
    group = strategy_table.start(home, case, run, *options)
    ended = [each.wait() for each in group]
    assert -signal.SIGKILL in ended
    train(home, case, run, *options, "--resume")
    assert not [path for path in (home / run / "checkpoints").iterdir() if not path.name.startswith("step_")]
    runs.assert_same_run(home / run, home / f"{case}-every")


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["flip", "remove"])
def test_a_damaged_part_of_a_checkpoint_is_found(home: Path, harm: str) -> None:
    run = f"fsdp-{harm}"
    if not (home / "fsdp-whole-run").exists():
        train(home, "fsdp", "fsdp-whole-run")
    shutil.copytree(home / "fsdp-whole-run", home / run)
    shutil.rmtree(home / run / "model")
    newest = home / run / "checkpoints" / "step_000008" / "optimizer.parts"
    file = sorted(newest.iterdir())[1]
    if harm == "remove":
        file.unlink()
    else:
        content = bytearray(file.read_bytes())
        content[-5] ^= 1
        file.write_bytes(content)
    said = train(home, "fsdp", run, "--resume")
    assert "checkpoint step_000008 is damaged" in said
    assert "at step 4 of 8" in said


@pytest.mark.slow
def test_a_checkpoint_in_parts_is_a_model(home: Path) -> None:
    if not (home / "fsdp-whole-run").exists():
        train(home, "fsdp", "fsdp-whole-run")
    from tp_core import load_model

    loaded = load_model(home / "fsdp-whole-run" / "checkpoints" / "step_000008")
    runs.assert_same_weights(loaded.model.weights(), runs.weights(home / "fsdp-whole-run"))
