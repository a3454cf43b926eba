"""The contracts of a learning-rate schedule."""

from __future__ import annotations

import itertools
import math
from typing import Any

from tp_core.options.schedule import ScheduleConfig
from tp_core.testing.explained import explained
from tp_core.testing.subject import Subject

_LENGTHS = (1, 2, 10, 101)
_WARMUP = 4


def check(subject: Subject) -> None:
    """Check a schedule for runs of several lengths, with and without a warm-up.

    The factor must only depend on the step, and be a number from 0 to 1 at whole and fractional steps. It must rise
    during a warm-up, be above 0 at some step, and stay constant after the last step.
    """
    config = subject.config()
    assert isinstance(config, ScheduleConfig)
    for total in _LENGTHS:
        _check_curve(config, total, None)
        _check_curve(config, total, 0)
    _check_curve(config, 101, _WARMUP)
    _check_warmup(config, 101)


def _check_curve(config: ScheduleConfig, total: int, warmup: int | None) -> None:
    steps = [number / 2 for number in range(2 * total + 4)]
    run = f"of a run of {total} steps"
    schedule = config.build(total, warmup)
    factors = [_factor(schedule, step, run) for step in steps]
    again = config.build(total, warmup)
    backwards = [_factor(again, step, run) for step in reversed(steps)][::-1]
    for step, one, other in zip(steps, factors, backwards):
        assert one == other, (
            f"the factor at step {step:g} {run} is {one:g}, but {other:g} if the steps are computed in another order; "
            "a resumed run computes a step without the steps before it"
        )
    assert any(factor > 0 for step, factor in zip(steps, factors) if step < total and step == int(step)), (
        f"all steps {run} have the factor 0"
    )
    last, later = schedule.factor(total), schedule.factor(total + 7)
    assert last == later, (
        f"the factor after a run of {total} steps changes from {last:g} to {later:g}; it must stay constant"
    )


def _factor(schedule: Any, step: float, run: str) -> float:
    with explained(f"the factor at step {step:g} {run}"):
        factor: float = schedule.factor(step)
    good = isinstance(factor, (int, float)) and math.isfinite(factor) and 0 <= factor <= 1 + 1e-9
    assert good, f"the factor at step {step:g} {run} is {factor!r}; expected a number from 0 to 1"
    return factor


def _check_warmup(config: ScheduleConfig, total: int) -> None:
    schedule = config.build(total, _WARMUP)
    factors = [schedule.factor(step) for step in range(_WARMUP + 1)]
    rises = all(before < after for before, after in itertools.pairwise(factors))
    assert rises, (
        f"the factors of a warm-up of {_WARMUP} steps are {', '.join(f'{each:g}' for each in factors)}; they must rise"
    )
