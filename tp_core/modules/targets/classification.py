"""Classification of whole samples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tp_core.interfaces import Batch, Features, MetricState, TargetOutput
from tp_core.modules.layers.linear import Linear
from tp_core.modules.targets.class_loss import ClassLoss, class_predictions, labelled
from tp_core.modules.targets.classification_options import ClassificationConfig
from tp_core.modules.targets.pooled import PooledTarget
from tp_core.options.context import BuildContext


class Classification(PooledTarget):
    """Pooled features → optional dense layer → linear classifier → cross entropy.

    Labels are class numbers, or probabilities of all classes: those of mixed samples (mixup, CutMix) or of a teacher
    (:class:`tp_core.modules.targets.class_loss.ClassLoss`).
    In a model with two streams, pairs are classified.
    """

    def __init__(self, config: ClassificationConfig, context: BuildContext) -> None:
        super().__init__(config, context)
        self.config, self.loss = config, ClassLoss(config)
        self.classifier = Linear(self.width, config.num_labels, std=config.init_std)

    def class_logits(self, features: Features) -> Tensor:
        """The logits of all classes, (batch, num_labels)."""
        scores: Tensor = self.classifier(self.vectors(features))
        return scores

    def logits(self, features: Features, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.class_logits(features), labelled(self.labels_of(batch))

    def labelled_rows(self, batch: Batch) -> Tensor:
        return labelled(self.labels_of(batch)).sum().float()

    def denominator(self, batch: Batch) -> Tensor:
        return self.loss.denominator(self.labels_of(batch))

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        logits, labels = self.class_logits(features), self.labels_of(batch)
        return TargetOutput(self.loss(logits, labels), self.denominator(batch), self.loss.metrics(logits, labels))

    def tables(self, features: Features, batch: Batch) -> dict[str, MetricState]:
        return self.loss.tables(self.class_logits(features), self.labels_of(batch))

    @torch.no_grad()
    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        return class_predictions(self.class_logits(features))
