"""The triplet loss of three streams."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tp_core.interfaces import IGNORE, Batch, Features, Sequence, Target, TargetOutput
from tp_core.modules.targets.triplet_options import TripletConfig
from tp_core.modules.targets.vectors import position_of, vector_of
from tp_core.options.context import BuildContext


class Triplet(Target):
    """``max(|a - p| - |a - n| + margin, 0)`` of anchors a, positives p and negatives n (Reimers & Gurevych, 2019).

    Labels ``clr``: ``labels`` (batch,) is ``IGNORE`` for samples that do not count. ``accuracy`` is the share of
    samples whose positive is nearer to the anchor than their negative.
    """

    def __init__(self, config: TripletConfig, context: BuildContext) -> None:
        super().__init__()
        self.distance, self.margin = config.distance, config.margin
        self.facts = config.embeds(context)
        self.streams = tuple(context.streams)

    def vector(self, features: Features, stream: str) -> Tensor:
        """The vectors of a stream, (batch, size), float32."""
        return vector_of(features.streams[stream], stream, self.facts[stream], self)

    def apart(self, one: Tensor, other: Tensor) -> Tensor:
        """The distances of vectors (batch, size) in pairs, (batch,)."""
        if self.distance == "cosine":
            return 1 - (one * other).sum(dim=1)
        found: Tensor = torch.linalg.vector_norm(one - other, dim=1)
        return found

    def read_positions(self, sequence: Sequence, batch: Batch, stream: str) -> Tensor | None:
        return position_of(sequence, self.facts.get(stream))

    def denominator(self, batch: Batch) -> Tensor:
        return (self.labels_of(batch)["labels"] != IGNORE).sum().float()

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        anchor, positive, negative = (self.vector(features, name) for name in self.streams)
        near, far = self.apart(anchor, positive), self.apart(anchor, negative)
        counted = self.labels_of(batch)["labels"] != IGNORE
        loss = ((near - far + self.margin).clamp(min=0) * counted).sum()
        count = self.denominator(batch)
        return TargetOutput(loss, count, {"accuracy": (((near < far) & counted).sum().float(), count)})

    @torch.no_grad()
    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        """The distance of the first two texts; and the distance of the first and the third, if there is a third."""
        one, other, *third = self.streams
        anchor = self.vector(features, one)
        found = {"distance": self.apart(anchor, self.vector(features, other)).tolist()}
        for name in third:
            if name in features.streams:
                found["negative_distance"] = self.apart(anchor, self.vector(features, name)).tolist()
        return [dict(zip(found, values)) for values in zip(*found.values())]
