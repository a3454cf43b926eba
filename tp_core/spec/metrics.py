"""The metrics that a spec's targets and processors declare, by their names in log lines and evaluations.

Torch-free.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Literal

from tp_core.metrics.facts import MetricFacts
from tp_core.metrics.tables import TableFacts
from tp_core.options.base import Problem
from tp_core.spec.context import context_of
from tp_core.spec.schema import Spec
from tp_core.suggest import did_you_mean

#: The facts about a loss.
LOSS = MetricFacts("low")

#: Name of the mean of the main metrics of several data sets (:func:`main_metric`).
MEAN = "mean"

_MODES: Mapping[str, Literal["min", "max"]] = {"low": "min", "high": "max"}


def target_metrics(spec: Spec) -> dict[str, MetricFacts]:
    """The metrics of the model's targets, as ``target/metric``."""
    return {
        f"{target.instance_name}/{name}": facts
        for target in spec.model.targets
        for name, facts in target.config.measures(context_of(spec, target.config.stream or "", side="target")).items()
    }


def shown_metrics(spec: Spec) -> list[str]:
    """The metrics shown during training: for each target, the first metric for which high or low is better."""
    first: dict[str, str] = {}
    for name, facts in target_metrics(spec).items():
        if facts.better is not None:
            first.setdefault(name.partition("/")[0], name)
    return list(first.values())


def set_metrics(spec: Spec, own: Spec) -> dict[str, MetricFacts]:
    """All metrics of the evaluation of one data set, without the set's name.

    Args:
        spec: the spec of the whole model, with all streams.
        own: the spec limited to the data set (:meth:`tp_core.spec.schema.Spec.of_set`).
    """
    fed = own.model.targets
    losses = {"loss": LOSS, **{f"loss/{target.instance_name}": LOSS for target in fed}}
    targets = target_metrics(replace(spec, model=spec.model._replace(targets=fed)))
    processor = own.data.processor
    return {**losses, **targets, **({} if processor is None else processor.config.measures(context_of(own)))}


def in_set(metric: str, name: str) -> str:
    """The name of a metric of the set ``name`` in the evaluation of several data sets."""
    head, _, rest = metric.partition("/")
    return f"loss/{name}/{rest}" if head == "loss" and rest else f"{name}/{metric}"


def set_tables(spec: Spec, own: Spec) -> dict[str, tuple[TableFacts, list[str] | None]]:
    """All tables of the evaluation of one data set, each with the names of its classes, if they have any.

    Args:
        spec, own: as in :func:`set_metrics`.
    """
    found: dict[str, tuple[TableFacts, list[str] | None]] = {}
    processor = None if own.data.processor is None else own.data.processor.config
    for target in own.model.targets:
        name = target.instance_name
        names = None
        if processor is not None:
            names = processor.class_names(name if name in own.data.options.labels else "")
        declared = target.config.tables(context_of(spec, target.config.stream or "", side="target"))
        found |= {f"{name}/{table}": (facts, names) for table, facts in declared.items()}
    if processor is not None:
        found |= {table: (facts, None) for table, facts in processor.tables(context_of(own)).items()}
    return found


def main_metric(metrics: Mapping[str, MetricFacts]) -> str | None:
    """The first metric of a data set for which high values are better; None if there is none.

    Args:
        metrics: the result of :func:`set_metrics`.
    """
    return next((name for name, facts in metrics.items() if facts.better == "high"), None)


def has_mean(spec: Spec, sets: Collection[str]) -> bool:
    """True if an evaluation of several data sets has :data:`MEAN`, since each of them has a main metric."""
    return len(sets) > 1 and all(main_metric(set_metrics(spec, spec.of_set(name))) for name in sets)


def evaluation_metrics(spec: Spec, sets: Collection[str] | None = None) -> dict[str, MetricFacts]:
    """All metrics of an evaluation of a run, by name, with the better direction of each.

    Args:
        sets: names of the evaluated data sets; None for those that have ``eval``.
    """
    if sets is None:
        sets = [name for name, own in spec.sets().items() if own.data.options.eval is not None]
    found: dict[str, MetricFacts] = {"loss": LOSS} if sets else {}
    for name in sets:
        own = set_metrics(spec, spec.of_set(name))
        found |= {in_set(key, name): facts for key, facts in own.items() if key != "loss"} if name else own
    return found | ({MEAN: MetricFacts("high")} if has_mean(spec, sets) else {})


def early_stopping_problems(spec: Spec) -> Iterator[Problem]:
    """Yield the problems of ``train.early_stopping``; their paths are relative to that section."""
    options = spec.train.options.early_stopping
    if options is None:
        return
    known = evaluation_metrics(spec)
    if not known:
        yield Problem("", "needs data.eval")
        known = evaluation_metrics(spec, list(spec.sets()))
    if options.metric not in known:
        yield Problem("metric", _unknown(spec, options.metric, known))
        return
    better, mode = known[options.metric].better, options.mode
    if better is None and mode is None:
        message = f"it is unknown if low or high values of '{options.metric}' are better; give min or max"
        yield Problem("mode", f"is required: {message}")
    elif better is not None and mode not in (None, _MODES[better]):
        message = f"is {mode}, and {better} values of '{options.metric}' are better; leave mode out"
        yield Problem("mode", message)


def early_stopping_mode(spec: Spec) -> Literal["min", "max"]:
    """The better direction of the early stopping metric, for a spec without :func:`early_stopping_problems`."""
    options = spec.train.options.early_stopping
    assert options is not None
    better = evaluation_metrics(spec)[options.metric].better
    mode = options.mode if better is None else _MODES[better]
    assert mode is not None
    return mode


def _unknown(spec: Spec, metric: str, known: Mapping[str, MetricFacts]) -> str:
    bare = metric.removeprefix("eval/")
    if bare != metric and bare in known:
        return f"is written without 'eval/' here: '{bare}'"
    for name in spec.data.sets:
        if metric in evaluation_metrics(spec, [name]):
            return f"'{metric}' needs data.sets.{name}.eval"
    near = did_you_mean(bare, known)
    return f"no evaluation gives '{metric}', only {', '.join(known)}" + (f"; {near}" if near else "")
