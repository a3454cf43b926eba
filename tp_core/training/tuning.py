"""Values of targets that evaluations of a training find, such as the thresholds of decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tp_core.interfaces import Target
from tp_core.metrics.facts import MetricFacts
from tp_core.model import Model
from tp_core.processes.agreement import together
from tp_core.processes.group import ProcessGroup
from tp_core.spec.metrics import in_set

#: The columns of a metric of joined rows.
Columns = tuple[NDArray[Any], ...]


class Tuning:
    """Tunes the targets of a model (:meth:`tp_core.interfaces.Target.tuned`) by the rows of one evaluation."""

    def __init__(self, model: Model) -> None:
        self.targets = {name: target for name, target in model.named_targets().items() if target.tuned_by}
        # Only on the process that computes the metrics.
        self._rows: dict[str, dict[str, Columns]] = {name: {} for name in self.targets}

    def watched(self, facts: Mapping[str, MetricFacts], data_set: str) -> dict[str, MetricFacts]:
        """The facts of metrics for the evaluation of a data set, which keep the rows that targets are tuned by."""
        found = dict(facts)
        for name, target in self.targets.items():
            metric = f"{name}/{target.tuned_by}"
            if metric in found:
                compute = self._keeping(name, data_set, found[metric].compute)
                found[metric] = replace(found[metric], compute=compute)
        return found

    def _keeping(self, target: str, data_set: str, compute: Callable[..., float]) -> Callable[..., float]:
        def kept(*rows: NDArray[Any]) -> float:
            self._rows[target][data_set] = rows
            return compute(*rows)

        return kept

    @torch.no_grad()
    def apply(self, processes: ProcessGroup) -> dict[str, float]:
        """Tune the targets on all processes, after the evaluation of all data sets.

        Returns:
            The metrics that depend on tuned values, by name in the evaluation.
        """
        if not self.targets:
            return {}
        values: dict[str, dict[str, Tensor]] = {}
        metrics: dict[str, float] = {}

        def tune() -> None:
            for name, by_set in self._rows.items():
                if not by_set:
                    continue
                target = self.targets[name]
                every = tuple(np.concatenate(column) for column in zip(*by_set.values()))
                values[name] = {key: value.cpu() for key, value in target.tuned(*every).items()}
                _copy(target, values[name])
                for data_set, rows in by_set.items():
                    own = {f"{name}/{key}": value for key, value in target.tuned_metrics(*rows).items()}
                    metrics.update({in_set(key, data_set) if data_set else key: own[key] for key in own})

        together(processes, tune)
        for each, computed in processes.gather((values, metrics)):
            for name, own in each.items():
                _copy(self.targets[name], own)
            metrics |= computed
        return metrics


def _copy(target: Target, values: Mapping[str, Tensor]) -> None:
    buffers = dict(target.named_buffers())
    for name, value in values.items():
        buffers[name].copy_(value)
