"""Regression of the similarity of two streams."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tp_core.interfaces import Batch, Features, Joined, Sequence, Target, TargetOutput
from tp_core.modules.targets.similarity_options import SimilarityConfig
from tp_core.modules.targets.vectors import position_of, vector_of
from tp_core.options.context import BuildContext


class SimilarityRegression(Target):
    """The squared error of a similarity of the vectors u and v of two streams.

    Similarities are the cosine (Reimers & Gurevych, 2019), ``exp(-Σ|u - v|)`` (Mueller & Thyagarajan, 2016) and the dot
    product. Labels ``similarity``: ``labels`` (batch,), float, the wanted similarities.
    """

    def __init__(self, config: SimilarityConfig, context: BuildContext) -> None:
        super().__init__()
        self.by, self.facts = config.by, config.embeds(context)

    def similarities(self, features: Features) -> Tensor:
        """The similarity of each pair, (batch,), float32."""
        u, v = (vector_of(features.streams[name], name, facts, self) for name, facts in self.facts.items())
        return (-(u - v).abs().sum(dim=1)).exp() if self.by == "exp_l1" else (u * v).sum(dim=1)

    def read_positions(self, sequence: Sequence, batch: Batch, stream: str) -> Tensor | None:
        return position_of(sequence, self.facts.get(stream))

    def denominator(self, batch: Batch) -> Tensor:
        labels = self.labels_of(batch)["labels"]
        return torch.full((), float(len(labels)), device=labels.device)

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        found, wanted = self.similarities(features), self.labels_of(batch)["labels"].float()
        rows = Joined((found.detach(), wanted))
        loss = (found - wanted).square().sum()
        return TargetOutput(loss, self.denominator(batch), {"pearson": rows, "spearman": rows})

    @torch.no_grad()
    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        """The similarity of each pair."""
        return [{"similarity": value} for value in self.similarities(features).tolist()]
