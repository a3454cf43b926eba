"""Image-text matching."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_core.config import BuildContext
from tp_core.interfaces import IGNORE, Batch, Features, Target, TargetOutput
from tp_core.modules.layers.linear import Linear
from tp_core.modules.targets.classification import class_predictions
from tp_crossmodal.config import ImageTextMatchingConfig


class ImageTextMatching(Target):
    """Tells pictures with their own texts (class 1) from those with another's (class 0).

    Of one sequence: first state → dense layer with tanh → two classes (ViLT, VisualBERT). Of two streams: the first
    states, each → dense layer with ReLU to one width, multiplied → two classes (ViLBERT). Labels ``itm``: ``labels``
    (batch,), ``IGNORE`` for none.
    """

    def __init__(self, config: ImageTextMatchingConfig, context: BuildContext) -> None:
        super().__init__()
        std = config.init_std
        self.sides = tuple(context.streams) if config.compares(context) else ()
        widths = [context.streams[name].hidden_size for name in self.sides] or [context.hidden_size]
        size = config.size or max(widths)
        self.dense = nn.ModuleList(Linear(width, size, std=std) for width in widths)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = Linear(size, 2, std=std)

    def logits(self, features: Features) -> Tensor:
        """(batch, 2)."""
        if self.sides:
            one, other = (
                F.relu(dense(features.streams[name].pooled("first"))) for name, dense in zip(self.sides, self.dense)
            )
            pooled = one * other
        else:
            pooled = torch.tanh(self.dense[0](features.sequence.pooled("first")))
        scores: Tensor = self.classifier(self.dropout(pooled))
        return scores

    def scores(self, features: Features, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.logits(features), batch.labels["itm"]["labels"] != IGNORE

    def denominator(self, batch: Batch) -> Tensor:
        return (batch.labels["itm"]["labels"] != IGNORE).sum().float()

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        logits, labels = self.logits(features).float(), batch.labels["itm"]["labels"]
        loss = F.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="sum")
        count = self.denominator(batch)
        correct = (logits.argmax(dim=-1) == labels).sum().float()
        return TargetOutput(loss, count, {"accuracy": (correct, count)})

    @torch.inference_mode()
    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        """Class 1 means that the text belongs to the picture."""
        return class_predictions(self.logits(features))
