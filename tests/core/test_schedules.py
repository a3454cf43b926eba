"""Learning-rate schedules: equality with transformers, fairseq's formula, and the edges."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest

from tests.core.installed import names, option_class
from tp_core.errors import TPError
from tp_core.options.schedule import ScheduleConfig
from tp_core.training.schedules.base import warmup_steps
from tp_core.training.schedules.options import (
    ConstantConfig,
    CosineConfig,
    CosineRestartsConfig,
    InverseSqrtConfig,
    LinearConfig,
    PolynomialConfig,
    TriStageConfig,
    WarmupStableDecayConfig,
)

LR = 0.5
TOTAL = 97
WARMUPS = [0, 1, 10, 96]


def config_of(name: str, **options: Any) -> ScheduleConfig:
    config = option_class("schedule", name)(**options)
    assert isinstance(config, ScheduleConfig)
    return config


def reference(function: str, **options: Any) -> list[float]:
    """The factors of transformers' schedule at every step, the step after the last included."""
    torch = pytest.importorskip("torch")
    optimization = pytest.importorskip("transformers.optimization")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    scheduler = getattr(optimization, function)(optimizer, **options)
    factor = scheduler.lr_lambdas[0]
    return [float(factor(step)) for step in range(TOTAL + 1)]


def factors(name: str, config: ScheduleConfig, total: int = TOTAL) -> list[float]:
    schedule = config.build(total)
    return [schedule.factor(step) for step in range(total + 1)]


@pytest.mark.parametrize("warmup", WARMUPS)
def test_linear_equals_transformers(warmup: int) -> None:
    expected = reference("get_linear_schedule_with_warmup", num_warmup_steps=warmup, num_training_steps=TOTAL)
    assert factors("linear", LinearConfig(warmup=float(warmup))) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("warmup", WARMUPS)
@pytest.mark.parametrize("final", [0.0, 0.1])
def test_cosine_equals_transformers(warmup: int, final: float) -> None:
    expected = reference(
        "get_cosine_with_min_lr_schedule_with_warmup",
        num_warmup_steps=warmup,
        num_training_steps=TOTAL,
        min_lr_rate=final,
    )
    config = CosineConfig(warmup=float(warmup), final=final)
    assert factors("cosine", config) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("warmup", WARMUPS)
@pytest.mark.parametrize("cycles", [1, 3])
def test_cosine_restarts_equal_transformers(warmup: int, cycles: int) -> None:
    expected = reference(
        "get_cosine_with_hard_restarts_schedule_with_warmup",
        num_warmup_steps=warmup,
        num_training_steps=TOTAL,
        num_cycles=cycles,
    )
    config = CosineRestartsConfig(warmup=float(warmup), cycles=cycles)
    assert factors("cosine_restarts", config) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("warmup", WARMUPS)
@pytest.mark.parametrize(("power", "final"), [(1.0, 0.0), (2.0, 0.1), (0.5, 0.3)])
def test_polynomial_equals_transformers(warmup: int, power: float, final: float) -> None:
    expected = reference(
        "get_polynomial_decay_schedule_with_warmup",
        num_warmup_steps=warmup,
        num_training_steps=TOTAL,
        lr_end=final * LR,
        power=power,
    )
    config = PolynomialConfig(warmup=float(warmup), power=power, final=final)
    assert factors("polynomial", config) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("warmup", WARMUPS)
def test_constant_equals_transformers(warmup: int) -> None:
    expected = reference("get_constant_schedule_with_warmup", num_warmup_steps=warmup)
    assert factors("constant", ConstantConfig(warmup=float(warmup))) == expected


@pytest.mark.parametrize("warmup", WARMUPS)
def test_inverse_sqrt_equals_transformers(warmup: int) -> None:
    expected = reference("get_inverse_sqrt_schedule", num_warmup_steps=warmup)
    assert factors("inverse_sqrt", InverseSqrtConfig(warmup=float(warmup))) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("warmup", WARMUPS)
@pytest.mark.parametrize(("shape", "decay_type"), [("linear", "linear"), ("cosine", "cosine"), ("sqrt", "1-sqrt")])
@pytest.mark.parametrize("final", [0.0, 0.2])
def test_warmup_stable_decay_equals_transformers(warmup: int, shape: Any, decay_type: str, final: float) -> None:
    expected = reference(
        "get_wsd_schedule",
        num_warmup_steps=warmup,
        num_decay_steps=20,
        num_training_steps=TOTAL,
        decay_type=decay_type,
        min_lr_ratio=final,
    )
    config = WarmupStableDecayConfig(warmup=float(warmup), decay=20 / TOTAL, shape=shape, final=final)
    assert factors("warmup_stable_decay", config) == pytest.approx(expected, abs=1e-15)


def test_tri_stage_follows_fairseq_formula() -> None:
    warmup, hold, decay, initial, final = 10, 40, 30, 0.01, 0.05
    expected = []
    for step in range(101):
        if step < warmup:
            expected.append(initial + (1 - initial) / warmup * step)
        elif step < warmup + hold:
            expected.append(1.0)
        elif step <= warmup + hold + decay:
            expected.append(math.exp(math.log(final) / decay * (step - warmup - hold)))
        else:
            expected.append(final)
    config = TriStageConfig(warmup=0.1, hold=0.4, decay=0.3, initial=initial, final=final)
    assert factors("tri_stage", config, 100) == pytest.approx(expected, abs=1e-15)


def test_tri_stage_decays_over_the_rest_when_decay_is_unset() -> None:
    values = factors("tri_stage", TriStageConfig(warmup=0.1, hold=0.4), 100)
    assert values[49:51] == [1.0, 1.0]
    assert values[51] < 1.0
    assert values[99] > 0.05
    assert values[100] == 0.05


def test_tri_stage_refuses_stages_longer_than_the_run() -> None:
    with pytest.raises(TPError, match=r"0\.2 \+ 0\.6 \+ 0\.3"):
        TriStageConfig(warmup=0.2, hold=0.6, decay=0.3).build(100)


def test_stages_of_warmup_stable_decay_longer_than_the_run_are_refused() -> None:
    with pytest.raises(TPError, match=r"warmup \+ decay is 0\.95 \+ 0\.1 of the steps; at most 1 fits"):
        WarmupStableDecayConfig(warmup=0.95).build(100)


def test_a_decay_of_less_than_a_step_is_of_one() -> None:
    schedule = WarmupStableDecayConfig(decay=1e-9).build(100)
    assert [schedule.factor(step) for step in (98, 99, 100)] == [1.0, 1.0, 0.0]


@pytest.mark.parametrize("name", names("schedule"))
def test_a_warmup_rises_by_equal_steps_from_the_first_update_to_the_peak(name: str) -> None:
    """From 0; the two schedules with a factor for it begin there. The peak is that of update number ``warmup``."""
    schedule = config_of(name, warmup=0.2).build(50)
    start = {"tri_stage": 0.01}.get(name, 0.0)
    expected = [start + (1 - start) * step / 10 for step in range(11)]
    assert [schedule.factor(step) for step in range(11)] == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("name", ["linear", "cosine", "polynomial", "tri_stage", "warmup_stable_decay"])
def test_the_last_update_is_one_step_before_the_end_of_the_decay(name: str) -> None:
    schedule = config_of(name, final=0.1).build(40)
    assert schedule.factor(39) > 0.1
    assert schedule.factor(40) == pytest.approx(0.1)


def test_warmup_below_one_is_a_fraction_and_from_one_on_a_number_of_steps() -> None:
    assert warmup_steps(0.1, 1000) == 100
    assert warmup_steps(0.07, 100) == 7  # 0.07 * 100 is a little more than 7 in floats
    assert warmup_steps(0.001, 100) == 1
    assert warmup_steps(1, 1000) == 1
    assert warmup_steps(250.0, 1000) == 250
    assert warmup_steps(0.0, 1000) == 0


@pytest.mark.parametrize("name", names("schedule"))
def test_a_run_of_one_step_is_not_wasted_on_the_warmup(name: str) -> None:
    assert config_of(name, warmup=0.1).build(1).factor(0) > 0


@pytest.mark.parametrize("name", names("schedule"))
@pytest.mark.parametrize("warmup", [0.0, 0.5, 0.99, 1.0, 2.0, 50.0])
@pytest.mark.parametrize("total", [1, 2, 3, 10])
def test_factors_are_finite_in_unit_range_and_constant_after_the_end(name: str, warmup: float, total: int) -> None:
    short = {"tri_stage": {"hold": 0.0}, "warmup_stable_decay": {"decay": 0.01}}
    options = {"warmup": warmup} | short.get(name, {})
    schedule = config_of(name, **options).build(total)
    values = [schedule.factor(step) for step in range(total + 20)]
    assert all(0 <= value <= 1 for value in values)
    assert len(set(values[total:])) == 1


@pytest.mark.parametrize("name", ["linear", "cosine", "cosine_restarts", "polynomial", "warmup_stable_decay"])
def test_the_final_factor_is_kept_beyond_the_last_step(name: str) -> None:
    schedule = config_of(name, warmup=0.1, final=0.25).build(40)
    assert [schedule.factor(step) for step in (40, 41, 4000)] == [0.25] * 3


def test_a_warmup_longer_than_the_run_never_reaches_the_peak() -> None:
    schedule = LinearConfig(warmup=100.0).build(10)
    assert schedule.factor(9) == 0.09


def test_no_steps_are_refused() -> None:
    with pytest.raises(TPError, match="0 steps"):
        LinearConfig().build(0)


def test_schedules_do_not_import_torch() -> None:
    modules = ", ".join(f"tp_core.training.schedules.{name}" for name in ("options", "decays", "stages"))
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
