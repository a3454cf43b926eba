"""Classification of samples that have any number of classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from tp_core.interfaces import Batch, Features, Joined, MetricState, TargetOutput
from tp_core.metrics.counts import label_counts
from tp_core.metrics.label_sets import AVERAGE_PRECISION, LABEL_METRICS
from tp_core.metrics.thresholds import best_threshold
from tp_core.modules.layers.linear import Linear
from tp_core.modules.targets.multi_label_options import MultiLabelConfig
from tp_core.modules.targets.per_class import PerClass
from tp_core.modules.targets.pooled import PooledTarget
from tp_core.options.context import BuildContext


class MultiLabel(PooledTarget):
    """Pooled features → optional dense layer → linear classifier → binary cross entropy for each class.

    Labels ``labels`` (batch, num_labels), float32: 1 for classes of the sample, 0 for others, or probabilities between
    them (mixup, CutMix); NaN where it is unknown if a sample has a class. Such labels count neither in the loss nor in
    metrics. Metrics take a probability of at least 0.5 as 1. The denominator is the number of labels, so the mean loss
    is the mean over samples and classes, as in transformers.

    With ``tune_threshold``, each evaluation of the training finds new thresholds, which are saved with the weights.
    """

    def __init__(self, config: MultiLabelConfig, context: BuildContext) -> None:
        super().__init__(config, context)
        self.config = config
        self.classifier = Linear(self.width, config.num_labels, std=config.init_std)
        tuned = config.tune_threshold != "none"
        self.thresholds = PerClass(config.thresholds(), saved=tuned)
        self.pos_weight = None if config.pos_weight is None else PerClass(config.pos_weight, saved=False)
        self.tuned_by = AVERAGE_PRECISION if tuned else ""

    def class_logits(self, features: Features) -> Tensor:
        """The logits of all classes, (batch, num_labels) float32."""
        scores: Tensor = self.classifier(self.vectors(features))
        return scores.float()

    def denominator(self, batch: Batch) -> Tensor:
        return (~self.labels_of(batch)["labels"].isnan()).sum().float()

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        logits, labels = self.class_logits(features), self.labels_of(batch)["labels"]
        counted = ~labels.isnan()
        # Both sides are replaced, so that no NaN reaches a gradient.
        scored, wanted = (torch.where(counted, each, 0.0) for each in (logits, labels))
        smoothing = self.config.label_smoothing
        factors = None if self.pos_weight is None else self.pos_weight.values
        each = F.binary_cross_entropy_with_logits(
            scored, wanted * (1 - smoothing) + smoothing / 2, pos_weight=factors, reduction="none"
        )
        loss = torch.where(counted, each, 0.0).sum()
        probabilities = scored.detach().sigmoid()
        metrics = label_states(self.config.measured(), probabilities, wanted >= 0.5, counted, self.thresholds.values)
        return TargetOutput(loss, self.denominator(batch), metrics)

    @torch.no_grad()
    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        probabilities = self.class_logits(features).sigmoid()
        chosen = (probabilities >= self.thresholds.values).tolist()
        return [
            {"labels": [number for number, is_label in enumerate(labels) if is_label], "probabilities": row}
            for labels, row in zip(chosen, probabilities.tolist())
        ]

    # -- thresholds ----------------------------------------------------------------------------------------------

    def label_thresholds(self) -> Tensor:
        return self.thresholds.values

    def tuned(self, *rows: NDArray[Any]) -> dict[str, Tensor]:
        probabilities, labels, counted = rows
        before = self.thresholds.values.tolist()
        if self.config.tune_threshold == "shared":
            found = best_threshold(probabilities[counted], labels[counted])
            after = before if found is None else [found] * len(before)
        else:
            columns = zip(probabilities.T, labels.T, counted.T)
            each = [best_threshold(scores[known], wanted[known]) for scores, wanted, known in columns]
            after = [old if new is None else new for old, new in zip(before, each)]
        return {"thresholds.values": torch.tensor(after)}

    def tuned_metrics(self, *rows: NDArray[Any]) -> dict[str, float]:
        names = [name for name in self.config.measured() if name != self.tuned_by]
        probabilities, labels, counted = map(torch.from_numpy, rows)
        states = label_states(names, probabilities, labels, counted, self.thresholds.values.cpu())
        return {name: LABEL_METRICS[name].compute(*(each.numpy() for each in states[name])) for name in names}


def label_states(
    names: Iterable[str], probabilities: Tensor, labels: Tensor, counted: Tensor, thresholds: Tensor
) -> Mapping[str, Any]:
    """The states of metrics, computed without a device synchronisation.

    Args:
        names: the metrics, keys of :data:`tp_core.metrics.label_sets.LABEL_METRICS`.
        probabilities: (batch, classes).
        labels: (batch, classes) bool; any value where no label counts.
        counted: (batch, classes) bool, True for labels that count.
        thresholds: (classes,) lowest probabilities of predicted classes.
    """
    predicted = probabilities >= thresholds
    right = predicted == labels
    found: dict[str, MetricState] = {}
    for name in names:
        if name == AVERAGE_PRECISION:
            found[name] = Joined((probabilities, labels, counted))
        elif name == "accuracy":
            found[name] = (right & counted).sum().float(), counted.sum().float()
        elif name == "exact_match":
            known = counted.any(dim=1)
            found[name] = ((right | ~counted).all(dim=1) & known).sum().float(), known.sum().float()
        else:
            found[name] = (label_counts(predicted, labels, counted),)
    return found
