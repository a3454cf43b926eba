"""Classification with the two classifiers of DeiT."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tp_core.interfaces import Batch, Features, Sequence, Target, TargetOutput
from tp_core.modules.layers.linear import Linear
from tp_core.modules.targets.class_metrics import class_metrics
from tp_core.modules.targets.classification import class_loss, class_predictions, labelled
from tp_core.options.context import BuildContext
from tp_vision.targets.deit_options import DistilledClassificationConfig


class DistilledClassification(Target):
    """Linear classifiers of the class token and of the distillation token; predictions use the mean of their logits.

    The target ``distill`` trains the logits of the distillation token (Touvron et al., 2021).
    """

    def __init__(self, config: DistilledClassificationConfig, context: BuildContext) -> None:
        super().__init__()
        self.config = config
        self.classifier = Linear(context.hidden_size, config.num_labels, std=config.init_std)
        self.distilled = Linear(context.hidden_size, config.num_labels, std=config.init_std)

    def heads(self, features: Features) -> tuple[Tensor, Tensor]:
        """Logits of the class token and of the distillation token, each (batch, num_labels)."""
        states = features.sequence.states
        return self.classifier(states[:, 0]), self.distilled(states[:, 1])

    def pool(self, sequence: Sequence, stream: str) -> Tensor:
        """The mean of the two tokens."""
        return (sequence.states[:, 0] + sequence.states[:, 1]) / 2

    def class_logits(self, features: Features) -> Tensor:
        """Mean logits of the two classifiers, (batch, num_labels)."""
        own, distilled = self.heads(features)
        return (own + distilled) / 2

    def logits(self, features: Features, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.heads(features)[1], labelled(self.labels_of(batch)["labels"])

    def denominator(self, batch: Batch) -> Tensor:
        return labelled(self.labels_of(batch)["labels"]).sum().float()

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        labels, weight = self.labels_of(batch)["labels"], self.config.token_weight
        own, distilled = self.heads(features)
        first = class_loss(own, labels, self.config.label_smoothing)
        loss = torch.lerp(first, class_loss(distilled, labels, self.config.label_smoothing), weight)
        metrics = class_metrics(self.config.metrics, (own + distilled) / 2, labels, labelled(labels))
        return TargetOutput(loss, self.denominator(batch), metrics)

    @torch.no_grad()
    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        return class_predictions(self.class_logits(features))
