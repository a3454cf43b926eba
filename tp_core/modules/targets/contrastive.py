"""The contrastive loss between two streams, with negatives from the batch."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_core.interfaces import IGNORE, Batch, Features, Sequence, Target, TargetOutput
from tp_core.modules.layers.linear import Linear
from tp_core.modules.layers.precision import full_precision
from tp_core.modules.targets.contrastive_options import ContrastiveConfig
from tp_core.modules.targets.gather import gathered
from tp_core.modules.targets.vectors import position_of, vector_of
from tp_core.options.context import BuildContext

#: Maximum of the log factor of similarities, log(100) as in CLIP, because training becomes unstable above it.
_LIMIT = math.log(100)


def joined(asked: Tensor, asking: Tensor, answers: Tensor, pairs: Tensor) -> Tensor:
    """The right answers in a pool for each item: those that are paired with an equal item anywhere in the pool.

    It runs without a device synchronisation.

    Args:
        asked: identities of the items, from one side, (items,).
        asking: identities of the pool's samples on the same side, (pool,).
        answers: identities of the pool's samples on the other side, (pool,).
        pairs: (pool,) bool, True for samples of the pool that are pairs.

    Returns:
        (items, pool) bool, True where the answer is right for the item.
    """
    ordered, order = answers.sort()
    # One number per distinct answer; unique() would need a synchronisation, because its size depends on values.
    changes = torch.cat([torch.zeros_like(order[:1]), (ordered[1:] != ordered[:-1]).long()])
    number = torch.empty_like(order).scatter_(0, order, changes.cumsum(0))
    told = (asked.unsqueeze(1) == asking) & pairs
    counts = torch.zeros(told.shape, device=told.device).index_add_(1, number, told.float())
    return counts.index_select(1, number) > 0


def _loss(scores: Tensor, labels: Tensor, right: Tensor | None) -> Tensor:
    """The sum of the cross entropies of scores (batch, pool), without the scores of further right answers."""
    if right is not None:
        others = right.scatter(1, labels.clamp(min=0).unsqueeze(1), False)
        scores = scores.masked_fill(others, -math.inf)
    return F.cross_entropy(scores, labels, ignore_index=IGNORE, reduction="sum")


def _correct(scores: Tensor, labels: Tensor, right: Tensor | None) -> Tensor:
    """The number of anchors for which the best answer in the pool is right."""
    best = scores.argmax(dim=1)
    if right is None:
        return (best == labels).sum().float()
    return (right.gather(1, best.unsqueeze(1)).squeeze(1) & (labels != IGNORE)).sum().float()


class Contrastive(Target):
    """Contrastive learning: find the vector of the same sample in the other stream (Radford et al., 2021).

    A third stream has one hard negative of each pair. From the first stream to the second, the negatives of a sample
    are the second texts of the other samples, and the hard negatives of all samples. The exponential of a sample's own
    hard negative is multiplied by a weight α (supervised SimCSE; Gao et al., 2021). From the second stream to the
    first, there are no hard negatives. If a batch lacks the third stream, it has none either.

    Labels ``clr``: ``labels`` (batch,) is ``IGNORE`` for samples that are not pairs. These are not anchors, but they
    remain negatives for other samples. Any other value marks a pair: the positive of a sample is the same sample in the
    other stream. ``items`` (batch, streams), int64, is optional: the identities of the contents of each sample in the
    streams, equal for equal contents (:func:`tp_core.data.sampling.items.item_id`).

    Further right answers are those that the pool pairs with an item equal to the anchor: a repeated pair, other
    captions of the same image, another answer to the same question. They are neither positives nor negatives of the
    anchor; the loss leaves them out, also if they are hard negatives of other samples. Without ``items``, every other
    sample is a negative.

    In training, the pool of negatives is the batch of all processes, so that the loss does not depend on their number.
    It does depend on ``train.accumulate``, because each micro-batch is a separate pool. In an evaluation, each batch of
    each process is a separate pool.
    """

    def __init__(self, config: ContrastiveConfig, context: BuildContext) -> None:
        super().__init__()
        self.config = config
        self.streams = tuple(context.streams)
        self.sides = self.streams[:2]
        self.facts = config.embeds(context)
        self.projections = nn.ModuleList()
        if config.projection_size is not None:
            widths = [facts.hidden_size for facts in context.streams.values()][:2]
            self.projections.extend(Linear(w, config.projection_size, bias=False, std=w**-0.5) for w in widths)
        self.logit_scale = nn.Parameter(torch.empty(())) if config.learned_temperature else None

    def reset_parameters(self) -> None:
        if self.logit_scale is not None:
            nn.init.constant_(self.logit_scale, -math.log(self.config.temperature))

    def vector(self, stream: str, sequence: Sequence) -> Tensor:
        """The vectors of a stream that are compared, one per sample, (batch, size), float32."""
        return vector_of(sequence, stream, self.facts[stream], self)

    def project(self, vectors: Tensor, stream: str) -> Tensor:
        projected: Tensor = self.projections[self.config.projection_number(self.streams, stream)](vectors)
        return projected

    def vectors(self, features: Features) -> tuple[Tensor, Tensor]:
        """The vectors of the first two streams, each (batch, size), float32."""
        one, other = (self.vector(name, features.streams[name]) for name in self.sides)
        return one, other

    def hard_negatives(self, features: Features) -> list[Tensor]:
        """The vectors of the third stream, (batch, size), float32, if the batch has one."""
        return [self.vector(name, features.streams[name]) for name in self.streams[2:] if name in features.streams]

    def scale(self) -> Tensor | float:
        """The factor of the similarities, which is one over the temperature."""
        if self.logit_scale is None:
            return 1 / self.config.temperature
        if not self.training:
            return self.logit_scale.clamp(max=_LIMIT).exp()
        with torch.no_grad():  # clamps the weight in place, so that its gradient is not cut off
            self.logit_scale.clamp_(max=_LIMIT)
        return self.logit_scale.exp()

    def read_positions(self, sequence: Sequence, batch: Batch, stream: str) -> Tensor | None:
        return position_of(sequence, self.facts.get(stream))

    def denominator(self, batch: Batch) -> Tensor:
        return (self.labels_of(batch)["labels"] != IGNORE).sum().float()

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        first, second = self.vectors(features)
        everyone, start = torch.cat([first, second, *self.hard_negatives(features)], dim=1), 0
        if self.training:
            everyone, start = gathered(everyone)
        firsts, seconds, *hard = everyone.chunk(everyone.shape[1] // first.shape[1], dim=1)
        pool = len(firsts)
        own = start + torch.arange(first.shape[0], device=first.device)
        anchors = self.labels_of(batch)["labels"] != IGNORE
        labels = own.masked_fill(~anchors, IGNORE)
        there, back = self._right(batch, own, pool, len(hard))
        count = self.denominator(batch)
        # Half precision cannot distinguish the similarities of nearly equal vectors.
        with full_precision(first):
            scale = self.scale()
            forward, backward = scale * (first @ torch.cat([seconds, *hard]).t()), scale * (second @ firsts.t())
            if hard:
                itself = (pool + own).unsqueeze(1) == torch.arange(2 * pool, device=own.device)
                forward = forward + math.log(self.config.hard_negative_weight) * itself
            loss = _loss(forward, labels, there)
            if self.config.symmetric:
                loss = (loss + _loss(backward, labels, back)) / 2
        found, found_back = _correct(forward, labels, there), _correct(backward, labels, back)
        one, other = self.sides
        metrics = {
            "accuracy": (found + found_back, 2 * count),
            f"accuracy_{one}_to_{other}": (found, count),
            f"accuracy_{other}_to_{one}": (found_back, count),
        }
        return TargetOutput(loss, count, metrics)

    def _right(self, batch: Batch, own: Tensor, pool: int, hard: int) -> tuple[Tensor | None, Tensor | None]:
        """Two masks, one per direction, True for candidates that are right for a sample.

        They are None without ``items``; each sample is then only right for itself.

        Args:
            own: the numbers of the batch's samples in the pool, (batch,).
            pool: number of samples in the pool.
            hard: number of hard negatives of a sample.

        Returns:
            (batch, pool × (1 + hard)) for the first direction, whose candidates are the second texts and then the hard
            negatives of the pool; (batch, pool) for the second direction.
        """
        items: Tensor | None = self.labels_of(batch).get("items")
        if items is None:
            return None, None
        known = torch.cat([items, (self.labels_of(batch)["labels"] != IGNORE).long().unsqueeze(1)], dim=1)
        everyone = gathered(known)[0] if self.training else known
        firsts, seconds, *thirds, pairs = everyone.unbind(dim=1)
        paired = pairs.bool()
        itself = own.unsqueeze(1) == torch.arange(pool, device=own.device)
        back = joined(items[:, 1], seconds, firsts, paired) | itself
        if not hard:
            return joined(items[:, 0], firsts, seconds, paired) | itself, back
        none = torch.zeros_like(itself)
        if not thirds:
            return torch.cat([joined(items[:, 0], firsts, seconds, paired) | itself, none], dim=1), back
        # A hard negative is no pair; it is only compared with the right answers.
        candidates, asking = torch.cat([seconds, thirds[0]]), torch.cat([firsts, firsts])
        there = joined(items[:, 0], asking, candidates, torch.cat([paired, torch.zeros_like(paired)]))
        return there | torch.cat([itself, none], dim=1), back

    @torch.no_grad()
    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        """The similarity of each pair: the cosine or the dot product."""
        first, second = self.vectors(features)
        return [{"similarity": value} for value in (first * second).sum(dim=1).tolist()]
