"""Next-sentence and sentence-order prediction."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tp_core.interfaces import IGNORE, Batch, Features, Sequence, Target, TargetOutput
from tp_core.modules.layers.dropout import Dropout
from tp_core.modules.layers.linear import Linear
from tp_core.modules.targets.class_loss import class_predictions
from tp_core.options.context import BuildContext
from tp_text.targets.sp_options import SentencePredictionConfig


class SentencePrediction(Target):
    """Classifies pairs: first token → dense layer with tanh → two classes.

    Class 0: the second sentence follows the first (BERT), or the two are in order (ALBERT).
    """

    def __init__(self, config: SentencePredictionConfig, context: BuildContext) -> None:
        super().__init__()
        self.dense = Linear(context.hidden_size, context.hidden_size, std=config.init_std)
        self.dropout = Dropout(config.dropout)
        self.classifier = Linear(context.hidden_size, 2, std=config.init_std)

    def read_positions(self, sequence: Sequence, batch: Batch, stream: str) -> Tensor | None:
        return sequence.pooled_position("first")

    def class_logits(self, features: Features) -> Tensor:
        """Logits of the two classes: (batch, 2)."""
        pooled = torch.tanh(self.dense(features.sequence.pooled("first")))
        scores: Tensor = self.classifier(self.dropout(pooled))
        return scores

    def logits(self, features: Features, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.class_logits(features), self.labels_of(batch)["labels"] != IGNORE

    def denominator(self, batch: Batch) -> Tensor:
        return (self.labels_of(batch)["labels"] != IGNORE).sum().float()

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        logits, labels = self.class_logits(features).float(), self.labels_of(batch)["labels"]
        loss = F.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="sum")
        count = self.denominator(batch)
        correct = (logits.argmax(dim=-1) == labels).sum().float()
        return TargetOutput(loss, count, {"accuracy": (correct, count)})

    @torch.no_grad()
    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        return class_predictions(self.class_logits(features))
