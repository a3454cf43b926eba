"""Combinations that optuna proposes from the results so far (``pip install 'tp-core[optuna]'``)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from tp_core.errors import TPError
from tp_core.sweep.axes import Axis, flow
from tp_core.sweep.combinations import Combination
from tp_core.sweep.plan import Plan
from tp_core.sweep.search import Search, Trials


def optuna() -> Any:
    """The library.

    Raises:
        TPError: it is not installed.
    """
    try:
        import optuna as library
    except ImportError as error:
        raise TPError(
            "--search optuna needs the library optuna: pip install 'tp-core[optuna]'; --search random needs none"
        ) from error
    library.logging.set_verbosity(library.logging.WARNING)
    return library


class OptunaSearch(Search):
    """Trials that the tree-structured Parzen estimator of optuna proposes.

    A proposal is a function of the seed, its number and the earlier trials with their values. No other state is kept,
    so that a sweep may go on from its results.

    Args:
        high: True if high values are better.
        trials: the trials of an earlier start.

    Raises:
        TPError: optuna is not installed.
    """

    def __init__(self, plan: Plan, high: bool, trials: Trials) -> None:
        assert plan.options.trials is not None
        self._library, self._axes, self._count, self._seed = optuna(), plan.axes, plan.options.trials, plan.options.seed
        self._direction = "maximize" if high else "minimize"
        trials.read()
        self._trials, self._given = trials, 0

    def known(self) -> list[Combination]:
        return self._trials.all[: self._count]

    def total(self) -> int:
        return self._count

    def next(self, values: dict[int, float | None], unfinished: Sequence[int]) -> Combination | None:
        if self._given == self._count:
            return None
        if self._given == len(self._trials.all):
            self._trials.add(self._proposed(values, unfinished))
        self._given += 1
        return self._trials.all[self._given - 1]

    def _proposed(self, values: dict[int, float | None], unfinished: Sequence[int]) -> dict[str, str]:
        library, number = self._library, len(self._trials.all)
        # A sampler of one seed would repeat its first proposals whenever the study is made anew.
        seed = random.Random(f"{self._seed} {number}").getrandbits(32)
        sampler = library.samplers.TPESampler(seed=seed, constant_liar=True)
        study = library.create_study(direction=self._direction, sampler=sampler)
        distributions = {axis.key: self._distribution(axis) for axis in self._axes}
        states = library.trial.TrialState
        for each in self._trials.all:
            value = values.get(each.number)
            state = states.RUNNING if each.number in unfinished else states.FAIL if value is None else states.COMPLETE
            params = {axis.key: _value(axis, each.values[axis.key]) for axis in self._axes}
            made = library.trial.create_trial(params=params, distributions=distributions, value=value, state=state)
            study.add_trial(made)
        found = study.ask(distributions).params
        return {axis.key: _text(axis, found[axis.key]) for axis in self._axes}

    def _distribution(self, axis: Axis) -> Any:
        kinds = self._library.distributions
        if axis.range is None:
            return kinds.CategoricalDistribution(list(axis.values))
        kind = kinds.IntDistribution if axis.range.integers else kinds.FloatDistribution
        return kind(axis.range.low, axis.range.high, log=axis.range.log)


def _value(axis: Axis, text: str) -> str | int | float:
    if axis.range is None:
        return text
    return int(text) if axis.range.integers else float(text)


def _text(axis: Axis, value: Any) -> str:
    if axis.range is None:
        return str(value)
    if axis.range.integers:
        return flow(int(value))
    rounded = float(f"{value:.4g}")
    return flow(min(max(rounded, float(axis.range.low)), float(axis.range.high)))
