"""Regression of whole samples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tp_core.interfaces import Batch, Features, Joined, MetricState, TargetOutput
from tp_core.metrics.values import VALUE_ERRORS
from tp_core.modules.layers.linear import Linear
from tp_core.modules.targets.pooled import PooledTarget
from tp_core.modules.targets.regression_options import RegressionConfig
from tp_core.options.context import BuildContext


class Regression(PooledTarget):
    """Pooled features → optional dense layer → linear layer → squared error or Huber loss.

    Labels ``labels`` (batch, outputs), float32; NaN where a sample has no label for an output. Such outputs count
    neither in the loss nor in metrics. The denominator is the number of labels, so the mean loss is the mean over
    samples and outputs, as in transformers.
    """

    def __init__(self, config: RegressionConfig, context: BuildContext) -> None:
        super().__init__(config, context)
        self.config = config
        self.output = Linear(self.width, config.outputs, std=config.init_std)

    def values(self, features: Features) -> Tensor:
        """The predicted numbers, (batch, outputs) float32."""
        found: Tensor = self.output(self.vectors(features))
        return found.float()

    def denominator(self, batch: Batch) -> Tensor:
        return (~self.labels_of(batch)["labels"].isnan()).sum().float()

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        values, labels = self.values(features), self.labels_of(batch)["labels"]
        counted = ~labels.isnan()
        # Both sides are replaced, so that no NaN reaches a gradient.
        found, wanted = (torch.where(counted, each, 0.0) for each in (values, labels))
        if self.config.loss == "huber":
            loss = F.huber_loss(found, wanted, reduction="sum", delta=self.config.huber_delta or 1.0)
        else:
            loss = F.mse_loss(found, wanted, reduction="sum")
        metrics: dict[str, MetricState] = {}
        for name in self.config.metrics:
            metrics |= _states(name, found.detach(), wanted, counted)
        return TargetOutput(loss, self.denominator(batch), metrics)

    @torch.no_grad()
    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        rows = self.values(features).tolist()
        return [{"value": row[0]} if self.config.outputs == 1 else {"values": row} for row in rows]


def _states(name: str, found: Tensor, wanted: Tensor, counted: Tensor) -> dict[str, MetricState]:
    """The states of a metric: over all outputs, and of each output if there are several.

    Args:
        name: name of the metric.
        found: (batch, outputs) predictions.
        wanted: (batch, outputs) labels; both have equal values where there is no label.
        counted: (batch, outputs) bool, True where there is a label.
    """
    outputs = found.shape[1]
    states: dict[str, MetricState] = {}
    if name in VALUE_ERRORS:
        errors = (found - wanted).square() if name == "mse" else (found - wanted).abs()
        sums, counts = errors.sum(dim=0), counted.sum(dim=0).float()
        states[name] = sums, counts
        if outputs > 1:
            states |= {f"{name}_{number}": (sums[number], counts[number]) for number in range(outputs)}
        return states
    states[name] = Joined((found, wanted, counted))
    if outputs > 1:
        for number in range(outputs):
            states[f"{name}_{number}"] = Joined((found[:, number], wanted[:, number], counted[:, number]))
    return states
