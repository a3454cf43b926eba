"""Classification of whole samples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_core.config import BuildContext
from tp_core.interfaces import IGNORE, Batch, Features, Target, TargetOutput
from tp_core.modules.config import ClassificationConfig
from tp_core.modules.layers.activation import ACTIVATIONS
from tp_core.modules.layers.linear import Linear


def class_predictions(logits: Tensor) -> list[dict[str, Any]]:
    """Per sample, the most probable class and the probabilities of all, from logits (batch, classes)."""
    probabilities = logits.float().softmax(dim=-1).cpu()
    labels = probabilities.argmax(dim=-1).tolist()
    return [{"label": label, "probabilities": row} for label, row in zip(labels, probabilities.tolist())]


class Classification(Target):
    """Pooled features → optional dense layer → linear classifier → cross entropy.

    Of a model with two streams, the pair is classified: the vectors u, v of the streams and what ``combine`` makes of
    them stand side by side (Conneau et al., 2017; Reimers & Gurevych, 2019).
    """

    def __init__(self, config: ClassificationConfig, context: BuildContext) -> None:
        super().__init__()
        self.config = config
        self.pooling = config.pooling or context.pooling
        self.poolings = {name: config.pooling or facts.pooling for name, facts in context.streams.items()}
        width = hidden = context.hidden_size
        if self.poolings:
            first, second = (facts.hidden_size for facts in context.streams.values())
            width = sum(second if part == "v" else first for part in config.combined())
        self.dense = Linear(width, hidden, std=config.init_std) if config.hidden_layer else None
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = Linear(hidden if config.hidden_layer else width, config.num_labels, std=config.init_std)

    def pooled(self, features: Features) -> Tensor:
        """One vector per sample, (batch, width)."""
        if not self.poolings:
            return features.sequence.pooled(self.pooling)
        u, v = (features.streams[name].pooled(how) for name, how in self.poolings.items())
        made = {"u": lambda: u, "v": lambda: v, "abs_difference": lambda: (u - v).abs(), "product": lambda: u * v}
        return torch.cat([made[part]() for part in self.config.combined()], dim=-1)

    def logits(self, features: Features) -> Tensor:
        """(batch, num_labels)."""
        pooled = self.pooled(features)
        if self.dense is not None:
            pooled = self.activation(self.dense(pooled))
        scores: Tensor = self.classifier(self.dropout(pooled))
        return scores

    def scores(self, features: Features, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.logits(features), batch.labels["cls"]["labels"] != IGNORE

    def denominator(self, batch: Batch) -> Tensor:
        return (batch.labels["cls"]["labels"] != IGNORE).sum().float()

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        logits = self.logits(features).float()
        labels = batch.labels["cls"]["labels"]
        loss = F.cross_entropy(
            logits, labels, ignore_index=IGNORE, reduction="sum", label_smoothing=self.config.label_smoothing
        )
        count = self.denominator(batch)
        correct = (logits.argmax(dim=-1) == labels).sum().float()
        return TargetOutput(loss, count, {"accuracy": (correct, count)})

    @torch.inference_mode()
    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        return class_predictions(self.logits(features))
