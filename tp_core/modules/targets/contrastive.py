"""In-batch contrast of two streams."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_core.config import BuildContext
from tp_core.interfaces import IGNORE, Batch, Features, Sequence, Target, TargetOutput
from tp_core.modules.config_targets import ContrastiveConfig
from tp_core.modules.layers.linear import Linear
from tp_core.modules.layers.precision import full_precision
from tp_core.modules.targets.gather import gathered
from tp_core.modules.targets.vectors import vector_of

#: The largest factor of the similarities, log(100) as in CLIP: beyond it training becomes unstable.
_LIMIT = math.log(100)


class Contrastive(Target):
    """Each sample's vector in one stream is told from all of the other stream by its own (Radford et al., 2021).

    Labels ``clr``: ``labels`` (batch,), ``IGNORE`` for samples that are no anchors; these remain among the negatives
    of the others. Any other value counts: a sample's positive is the sample itself in the other stream.

    The pool of negatives is the batch, over all processes in training, so that the loss does not depend on their
    number. It does depend on ``train.accumulate``: each micro-batch is a pool of its own. So is, in an evaluation,
    each batch of each process.
    """

    def __init__(self, config: ContrastiveConfig, context: BuildContext) -> None:
        super().__init__()
        self.config = config
        self.sides = tuple(context.streams)
        self.facts = config.embeds(context)
        self.projections = nn.ModuleList()
        if config.projection_size is not None:
            widths = [facts.hidden_size for facts in context.streams.values()]
            self.projections.extend(Linear(w, config.projection_size, bias=False, std=w**-0.5) for w in widths)
        self.logit_scale = nn.Parameter(torch.empty(())) if config.learned_temperature else None

    def reset_parameters(self) -> None:
        if self.logit_scale is not None:
            nn.init.constant_(self.logit_scale, -math.log(self.config.temperature))

    def vector(self, stream: str, sequence: Sequence) -> Tensor:
        """One vector per sample of a stream, (batch, size), float32: what samples are compared by."""
        return vector_of(sequence, stream, self.facts[stream], self)

    def project(self, vectors: Tensor, stream: str) -> Tensor:
        projected: Tensor = self.projections[self.sides.index(stream)](vectors)
        return projected

    def vectors(self, features: Features) -> tuple[Tensor, Tensor]:
        """The vectors of both streams, each (batch, size), float32."""
        one, other = (self.vector(name, features.streams[name]) for name in self.sides)
        return one, other

    def scale(self) -> Tensor | float:
        """What similarities are multiplied by: one over the temperature."""
        if self.logit_scale is None:
            return 1 / self.config.temperature
        if not self.training:
            return self.logit_scale.clamp(max=_LIMIT).exp()
        with torch.no_grad():  # the weight itself, so that its gradient can bring it back
            self.logit_scale.clamp_(max=_LIMIT)
        return self.logit_scale.exp()

    def denominator(self, batch: Batch) -> Tensor:
        return (batch.labels["clr"]["labels"] != IGNORE).sum().float()

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        first, second = self.vectors(features)
        everyone, start = torch.cat([first, second], dim=1), 0
        if self.training:
            everyone, start = gathered(everyone)
        firsts, seconds = everyone.chunk(2, dim=1)
        own = start + torch.arange(first.shape[0], device=first.device)
        anchors = batch.labels["clr"]["labels"] != IGNORE
        labels = own.masked_fill(~anchors, IGNORE)
        count = self.denominator(batch)
        # Similarities of nearly equal vectors differ by less than half precision can tell.
        with full_precision(first):
            scale = self.scale()
            forward, backward = scale * (first @ seconds.t()), scale * (second @ firsts.t())
            loss = F.cross_entropy(forward, labels, ignore_index=IGNORE, reduction="sum")
            if self.config.symmetric:
                loss = (loss + F.cross_entropy(backward, labels, ignore_index=IGNORE, reduction="sum")) / 2
        there, back = ((scores.argmax(dim=1) == labels).sum().float() for scores in (forward, backward))
        one, other = self.sides
        metrics = {
            "accuracy": (there + back, 2 * count),
            f"accuracy_{one}_to_{other}": (there, count),
            f"accuracy_{other}_to_{one}": (back, count),
        }
        return TargetOutput(loss, count, metrics)

    @torch.no_grad()
    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        """The similarity of each pair: cosine, or the dot product."""
        first, second = self.vectors(features)
        return [{"similarity": value} for value in (first * second).sum(dim=1).tolist()]
