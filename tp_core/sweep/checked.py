"""The specs of a sweep's runs, checked before any of them trains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tp_core.errors import TPError
from tp_core.metrics.facts import MetricFacts
from tp_core.spec.checks.run import check_run
from tp_core.spec.errors import SpecError, SpecProblem
from tp_core.spec.load import load_spec
from tp_core.spec.metrics import evaluation_metrics, shown_metrics
from tp_core.spec.schema import Spec
from tp_core.suggest import did_you_mean
from tp_core.sweep.axes import SEED
from tp_core.sweep.folds import Folds
from tp_core.sweep.plan import Plan


def need_good_specs(plan: Plan, folds: Folds | None, settings: Iterable[Sequence[str]]) -> None:
    """Load and check the spec of each combination and of each seed, as ``tp train`` does.

    Args:
        settings: the settings of each combination; equal ones are checked once.

    Raises:
        SpecError: the message has the problems of all combinations, each once.
    """
    fold = [] if folds is None else folds.settings(0)
    problems: dict[SpecProblem, None] = {}
    different = dict.fromkeys(map(tuple, settings))
    for each in different:
        problems |= dict.fromkeys(_problems(plan, [*each, *fold]))
    for seed in plan.seeds:
        problems |= dict.fromkeys(_problems(plan, [*next(iter(different)), *fold, f"{SEED}={seed}"]))
    if problems:
        raise SpecError(problems)


def _problems(plan: Plan, settings: Sequence[str]) -> list[SpecProblem]:
    try:
        check_run(load_spec(plan.spec, [*plan.settings, *settings]))
    except SpecError as error:
        return error.problems
    return []


@dataclass(frozen=True)
class Measure:
    """The metric that tells the best combination.

    Attributes:
        name: its name in evaluations.
        high: True if high values are better.
    """

    name: str
    high: bool

    def better(self, value: float, other: float) -> bool:
        return value > other if self.high else value < other


def measure_of(metric: str | None, spec: Spec) -> Measure:
    """The metric that the user names; by default that of early stopping, else the first of the first target.

    Args:
        spec: the spec of a run, with its folds.

    Raises:
        TPError: runs of the spec are not evaluated, or there is no such metric, or no better direction.
    """
    known = evaluation_metrics(spec)
    if not known:
        raise TPError("a sweep compares evaluations, and this spec has no data.eval; give it, or --folds")
    early = spec.train.options.early_stopping
    if metric is None and early is not None:
        metric = early.metric
        if known[metric].better is None:
            return Measure(metric, early.mode == "max")
    metric = _usual(spec, known) if metric is None else metric
    if metric not in known:
        near = did_you_mean(metric.removeprefix("eval/"), known) or f"the metrics are {', '.join(known)}"
        raise TPError(f"--metric {metric}: no evaluation of this spec has it; {near}")
    if known[metric].better is None:
        some = ", ".join(name for name, facts in known.items() if facts.better is not None)
        raise TPError(f"--metric {metric}: neither low nor high values of it are better; others are {some}")
    return Measure(metric, known[metric].better == "high")


def _usual(spec: Spec, known: Mapping[str, MetricFacts]) -> str:
    return next((name for name in shown_metrics(spec) if name in known), "loss")


def plain_difference(one: Any, other: Any, path: str = "") -> str:
    """The path of the first difference between two plain values; empty if they are equal."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            inner = f"{path}.{key}" if path else str(key)
            if key not in one or key not in other:
                return inner
            if found := plain_difference(one[key], other[key], inner):
                return found
        return ""
    return "" if one == other else path
