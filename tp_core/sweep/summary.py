"""The summary of a sweep: means and standard deviations per combination, and the best one."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tp_core.sweep.checked import Measure
from tp_core.sweep.combinations import Combination, short_keys, short_value
from tp_core.sweep.results import Result


@dataclass(frozen=True)
class Summary:
    """The results of one combination.

    Attributes:
        finished: number of finished runs.
        total: number of runs.
        mean: mean over the finished runs, by metric; NaN if a run has no value.
        deviation: standard deviation of the runs (with n - 1); NaN for a single run.
        pooled: metrics of all held-out records together, by metric; the mean over seeds.
    """

    combination: Combination
    finished: int
    total: int
    mean: Mapping[str, float]
    deviation: Mapping[str, float]
    pooled: Mapping[str, float] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return self.finished == self.total


def summarised(results: Sequence[Result], pooled: Mapping[str, Mapping[str, float]]) -> list[Summary]:
    """A summary per combination, in their order.

    Args:
        pooled: group of runs (:attr:`~tp_core.sweep.combinations.SweepRun.group`) → metrics of all held-out records.
    """
    by_number: dict[int, list[Result]] = {}
    for each in results:
        by_number.setdefault(each.run.combination.number, []).append(each)
    found = []
    for own in by_number.values():
        finished = [each.metrics for each in own if each.finished]
        names = list(dict.fromkeys(name for metrics in finished for name in metrics))
        values = {name: [metrics.get(name, math.nan) for metrics in finished] for name in names}
        groups = [pooled[group] for group in dict.fromkeys(each.run.group for each in own) if group in pooled]
        found.append(
            Summary(
                own[0].run.combination,
                len(finished),
                len(own),
                {name: statistics.fmean(each) for name, each in values.items()},
                {name: deviation(each) for name, each in values.items()},
                _means(groups),
            )
        )
    return found


def deviation(values: Sequence[float]) -> float:
    """The sample standard deviation; NaN for fewer than two values, or if one of them is not finite."""
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return math.nan
    return statistics.stdev(values)


def _means(groups: Sequence[Mapping[str, float]]) -> dict[str, float]:
    if not groups:
        return {}
    return {
        name: statistics.fmean(each[name] for each in groups) for name in groups[0] if all(name in g for g in groups)
    }


def best_of(summaries: Sequence[Summary], measure: Measure) -> Summary | None:
    """The best combination among those all of whose runs are finished; None if there is none."""
    best: Summary | None = None
    for each in summaries:
        value = each.mean.get(measure.name, math.nan)
        if not each.complete or math.isnan(value):
            continue
        if best is None or measure.better(value, best.mean[measure.name]):
            best = each
    return best


def summary_rows(summaries: Sequence[Summary], best: Summary | None) -> list[dict[str, Any]]:
    """A row per combination, with all metrics."""
    rows = []
    for each in summaries:
        row: dict[str, Any] = {**each.combination.values, "runs": each.total, "finished": each.finished}
        for name, mean in each.mean.items():
            row |= {name: mean, f"{name} sd": each.deviation[name]}
        row |= {f"all folds {name}": value for name, value in each.pooled.items()}
        rows.append({"best": "*" if each is best else "", **row})
    return rows


def shown(summaries: Sequence[Summary], best: Summary | None, measure: Measure) -> list[str]:
    """The summary as aligned lines for people, with the metric that decides and the loss."""
    keys = list(summaries[0].combination.values) if summaries else []
    metrics = list(dict.fromkeys([measure.name, "loss"]))
    pooled = any(each.pooled for each in summaries)
    head = ["", *short_keys(keys), "runs", *metrics, *([f"all folds {measure.name}"] if pooled else [])]
    lines = [head]
    for each in summaries:
        runs = f"{each.finished}" if each.complete else f"{each.finished} of {each.total}"
        values = [mean_and_deviation(each, name) for name in metrics]
        values += [number(each.pooled.get(measure.name, math.nan))] if pooled else []
        lines.append(
            ["*" if each is best else "", *(short_value(each.combination.values[key]) for key in keys), runs, *values]
        )
    widths = [max(map(len, column)) for column in zip(*lines)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]


def mean_and_deviation(summary: Summary, name: str) -> str:
    """The mean of a metric and its standard deviation, as text."""
    spread = summary.deviation.get(name, math.nan)
    mean = number(summary.mean.get(name, math.nan))
    return mean if math.isnan(spread) else f"{mean} ± {spread:.4f}"


def number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"
