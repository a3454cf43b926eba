"""Classification of whole samples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tp_core.interfaces import IGNORE, Batch, Features, TargetOutput
from tp_core.modules.layers.linear import Linear
from tp_core.modules.targets.class_metrics import class_metrics
from tp_core.modules.targets.classification_options import ClassificationConfig
from tp_core.modules.targets.pooled import PooledTarget
from tp_core.options.context import BuildContext


def class_predictions(logits: Tensor) -> list[dict[str, Any]]:
    """The most probable class and the probabilities of all classes for each sample, from logits (batch, classes)."""
    probabilities = logits.float().softmax(dim=-1).cpu()
    labels = logits.argmax(dim=-1).tolist()  # different logits may have equal probabilities
    return [{"label": label, "probabilities": row} for label, row in zip(labels, probabilities.tolist())]


def labelled(labels: Tensor) -> Tensor:
    """A mask of the samples that have a label, (batch,) bool; for ``labels`` see :func:`class_loss`."""
    return labels != IGNORE if labels.dim() == 1 else torch.ones_like(labels[:, 0], dtype=torch.bool)


def class_loss(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """The sum of the cross entropies of all samples.

    Args:
        logits: (batch, classes).
        labels: (batch,) class numbers or ``IGNORE``; or (batch, classes) probabilities for mixed samples.
        label_smoothing: share of the probability that is spread over all classes.
    """
    return F.cross_entropy(
        logits.float(), labels, ignore_index=IGNORE, reduction="sum", label_smoothing=label_smoothing
    )


class Classification(PooledTarget):
    """Pooled features → optional dense layer → linear classifier → cross entropy.

    Labels are class numbers, or probabilities of all classes for mixed samples (mixup, CutMix). In a model with two
    streams, pairs are classified.
    """

    def __init__(self, config: ClassificationConfig, context: BuildContext) -> None:
        super().__init__(config, context)
        self.config = config
        self.classifier = Linear(self.width, config.num_labels, std=config.init_std)

    def class_logits(self, features: Features) -> Tensor:
        """The logits of all classes, (batch, num_labels)."""
        scores: Tensor = self.classifier(self.vectors(features))
        return scores

    def logits(self, features: Features, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.class_logits(features), labelled(self.labels_of(batch)["labels"])

    def denominator(self, batch: Batch) -> Tensor:
        return labelled(self.labels_of(batch)["labels"]).sum().float()

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        logits, labels = self.class_logits(features), self.labels_of(batch)["labels"]
        loss = class_loss(logits, labels, self.config.label_smoothing)
        metrics = class_metrics(self.config.metrics, logits, labels, labelled(labels))
        return TargetOutput(loss, self.denominator(batch), metrics)

    @torch.no_grad()
    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        return class_predictions(self.class_logits(features))
