"""Classification of whole samples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tp_core.interfaces import Batch, Features, MetricState, Target, TargetOutput
from tp_core.modules.layers.activation import ACTIVATIONS
from tp_core.modules.layers.dropout import Dropout
from tp_core.modules.layers.linear import Linear
from tp_core.modules.targets.class_loss import ClassLoss, class_predictions, labelled
from tp_core.modules.targets.classification_options import ClassificationConfig
from tp_core.options.context import BuildContext


class Classification(Target):
    """Pooled features → optional dense layer → linear classifier → cross entropy.

    Labels are class numbers, or probabilities of all classes: those of mixed samples (mixup, CutMix) or of a teacher
    (:class:`tp_core.modules.targets.class_loss.ClassLoss`).

    In a model with two streams, pairs are classified. The input of the classifier is the concatenation of the vectors
    u, v of the streams and their combinations, as set by ``combine`` (Conneau et al., 2017; Reimers & Gurevych, 2019).
    """

    def __init__(self, config: ClassificationConfig, context: BuildContext) -> None:
        super().__init__()
        self.config, self.loss = config, ClassLoss(config)
        self.pooling = config.pooling or context.pooling
        streams = context.streams if config.stream is None else {}
        self.poolings = {name: config.pooling or facts.pooling for name, facts in streams.items()}
        width = hidden = context.hidden_size
        if self.poolings:
            first, second = (facts.hidden_size for facts in streams.values())
            width = sum(second if part == "v" else first for part in config.combined())
        self.dense = Linear(width, hidden, std=config.init_std) if config.hidden_layer else None
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = Dropout(config.dropout)
        self.classifier = Linear(hidden if config.hidden_layer else width, config.num_labels, std=config.init_std)

    def pooled(self, features: Features) -> Tensor:
        """The input of the classifier: one vector per sample, (batch, width)."""
        if not self.poolings:
            return features.sequence.pooled(self.pooling)
        u, v = (features.streams[name].pooled(how) for name, how in self.poolings.items())
        made = {"u": lambda: u, "v": lambda: v, "abs_difference": lambda: (u - v).abs(), "product": lambda: u * v}
        return torch.cat([made[part]() for part in self.config.combined()], dim=-1)

    def class_logits(self, features: Features) -> Tensor:
        """The logits of all classes, (batch, num_labels)."""
        pooled = self.pooled(features)
        if self.dense is not None:
            pooled = self.activation(self.dense(pooled))
        scores: Tensor = self.classifier(self.dropout(pooled))
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
