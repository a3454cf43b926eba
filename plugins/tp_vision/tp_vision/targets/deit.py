"""Classification with the two classifiers of DeiT."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tp_core.interfaces import Batch, Features, MetricState, Sequence, Target, TargetOutput
from tp_core.modules.layers.linear import Linear
from tp_core.modules.targets.class_loss import ClassLoss, class_predictions, labelled
from tp_core.options.context import BuildContext
from tp_vision.targets.deit_options import DistilledClassificationConfig


class DistilledClassification(Target):
    """Linear classifiers of the class token and of the distillation token; predictions use the mean of their logits.

    The target ``distill`` trains the logits of the distillation token (Touvron et al., 2021).
    """

    def __init__(self, config: DistilledClassificationConfig, context: BuildContext) -> None:
        super().__init__()
        self.config, self.loss = config, ClassLoss(config)
        self.classifier = Linear(context.hidden_size, config.num_labels, std=config.init_std)
        self.distilled = Linear(context.hidden_size, config.num_labels, std=config.init_std)

    def read_positions(self, sequence: Sequence, batch: Batch, stream: str) -> Tensor | None:
        """The two tokens, which are the first two positions."""
        return torch.arange(2, device=sequence.states.device).expand(len(sequence.states), -1)

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
        return self.heads(features)[1], labelled(self.labels_of(batch))

    def labelled_rows(self, batch: Batch) -> Tensor:
        return labelled(self.labels_of(batch)).sum().float()

    def denominator(self, batch: Batch) -> Tensor:
        return self.loss.denominator(self.labels_of(batch))

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        labels, (own, distilled) = self.labels_of(batch), self.heads(features)
        loss = torch.lerp(self.loss(own, labels), self.loss(distilled, labels), self.config.token_weight)
        return TargetOutput(loss, self.denominator(batch), self.loss.metrics((own + distilled) / 2, labels))

    def tables(self, features: Features, batch: Batch) -> dict[str, MetricState]:
        return self.loss.tables(self.class_logits(features), self.labels_of(batch))

    @torch.no_grad()
    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        return class_predictions(self.class_logits(features))
