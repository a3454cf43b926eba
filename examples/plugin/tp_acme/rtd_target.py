"""The target ``acme.rtd``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_acme.rtd_target_options import ReplacedTokenDetectionConfig
from tp_core import IGNORE, Batch, BuildContext, Features, Target, TargetOutput
from tp_core.metrics.counts import class_counts


class ReplacedTokenDetection(Target):
    """Dense layer → GELU → one score per position. A score above 0 predicts a replaced token."""

    def __init__(self, config: ReplacedTokenDetectionConfig, context: BuildContext) -> None:
        super().__init__()
        self.dense = nn.Linear(context.hidden_size, context.hidden_size)
        self.output = nn.Linear(context.hidden_size, 1)

    def denominator(self, batch: Batch) -> Tensor:
        return (self.labels_of(batch)["labels"] != IGNORE).sum().float()

    def logits(self, features: Features) -> Tensor:
        """States (batch, length, hidden_size) → scores (batch, length)."""
        scores: Tensor = self.output(F.gelu(self.dense(features.sequence.states)))
        return scores.squeeze(-1)

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        """The loss. Labels (batch, length) are 1 for replaced tokens, 0 for original ones and ``IGNORE`` elsewhere."""
        labels = self.labels_of(batch)["labels"]
        known, count, scores = labels != IGNORE, self.denominator(batch), self.logits(features).float()
        wanted, found = (labels == 1).long(), (scores > 0).long()
        losses = F.binary_cross_entropy_with_logits(scores, wanted.float(), reduction="none")
        correct = ((found == wanted) & known).sum().float()
        counts = class_counts(found.flatten(), wanted.flatten(), 2, known.flatten())
        return TargetOutput((losses * known).sum(), count, {"accuracy": (correct, count), "f1": (counts,)})

    @torch.no_grad()
    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        """The probability that the token was replaced, for each real position."""
        probabilities = self.logits(features).float().sigmoid()
        real = features.sequence.real()
        return [{"replaced": row[here].tolist()} for row, here in zip(probabilities, real)]
