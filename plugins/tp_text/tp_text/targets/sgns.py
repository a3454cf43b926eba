"""Skip-gram with negative sampling."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tp_core.interfaces import IGNORE, Batch, Features, Target, TargetOutput
from tp_core.modules.layers.linear import Embedding
from tp_core.options.context import BuildContext
from tp_text.targets.sgns_options import SkipGramConfig


class SkipGram(Target):
    """Scores each state v against output vectors u of the tokens around it and n of random tokens.

    Labels ``sgns``: ``context`` (batch, length, 2 × window), the tokens around each position, and ``negatives``
    (batch, length, k), random tokens; ``IGNORE`` marks empty places. The loss of a pair of a position and a context is
    ``-log σ(u·v) - Σ log σ(-n·v)``. All contexts of a position share its negatives, but a negative equal to the context
    is skipped, as in word2vec. The output table is initialised with zeros, as in word2vec. The word vectors to use
    after training are in the word embedding. ``accuracy`` is the share of pairs whose score is strictly higher than the
    scores of all their negatives.
    """

    def __init__(self, config: SkipGramConfig, context: BuildContext) -> None:
        super().__init__()
        self.output = Embedding(context.vocab_size + config.ngram_buckets, context.hidden_size, std=0.0)

    def denominator(self, batch: Batch) -> Tensor:
        return (self.labels_of(batch)["context"] != IGNORE).sum().float()

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        labels = self.labels_of(batch)
        context, negatives = labels["context"], labels["negatives"]
        states = features.sequence.states.unsqueeze(-1)
        real, drawn = context != IGNORE, negatives != IGNORE
        positive = (self.output(context.clamp(min=0)) @ states).squeeze(-1).float()
        negative = (self.output(negatives.clamp(min=0)) @ states).squeeze(-1).float()
        # (batch, length, contexts, k)
        counted = (context.unsqueeze(-1) != negatives.unsqueeze(-2)) & real.unsqueeze(-1) & drawn.unsqueeze(-2)
        loss = -torch.where(real, F.logsigmoid(positive), 0.0).sum()
        loss = loss - (F.logsigmoid(-negative) * counted.sum(dim=-2)).sum()
        highest = negative.unsqueeze(-2).masked_fill(~counted, -torch.inf).amax(dim=-1)
        count = self.denominator(batch)
        return TargetOutput(loss, count, {"accuracy": (((positive > highest) & real).sum().float(), count)})
