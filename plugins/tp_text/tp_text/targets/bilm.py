"""The bidirectional language model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tp_core.interfaces import IGNORE, Batch, Features, TargetOutput
from tp_core.modules.layers.cross_entropy import linear_cross_entropy
from tp_core.modules.layers.linear import Linear
from tp_core.options.context import BuildContext
from tp_text.targets.bilm_options import BidirectionalLanguageModelConfig
from tp_text.targets.vocabulary import VocabularyTarget, top_tokens

_DIRECTIONS = ("forward", "backward")


class BidirectionalLanguageModel(VocabularyTarget):
    """Predicts the next token from one half of each state and the previous token from the other half.

    Both directions share one output matrix. Labels ``bilm``: ``forward`` (batch, length), the token after each
    position, and ``backward`` (batch, length), the token before it. The loss is the mean over all labels of both.
    """

    def __init__(self, config: BidirectionalLanguageModelConfig, context: BuildContext) -> None:
        super().__init__(config)
        self.output = Linear(context.hidden_size // 2, context.vocab_size, bias=config.bias, std=config.init_std)

    def denominator(self, batch: Batch) -> Tensor:
        labels = self.labels_of(batch)
        return torch.stack([(labels[direction] != IGNORE).sum() for direction in _DIRECTIONS]).sum().float()

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        metrics: dict[str, tuple[Tensor, Tensor]] = {}
        losses = []
        for direction, states in zip(_DIRECTIONS, features.sequence.states.chunk(2, dim=-1)):
            labels = self.labels_of(batch)[direction].flatten()
            rows = states.reshape(-1, states.shape[-1])
            loss, correct = linear_cross_entropy(rows, self.output.weight, self.output.bias, labels)
            losses.append(loss)
            metrics[f"accuracy_{direction}"] = correct, (labels != IGNORE).sum().float()
        (right, count), (others, other_count) = metrics.values()
        metrics["accuracy"] = right + others, count + other_count
        return TargetOutput(losses[0] + losses[1], count + other_count, metrics)

    @torch.no_grad()
    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        """The most probable tokens after the last and before the first position that is not padding."""
        after = features.sequence.pooled("last").chunk(2, dim=-1)[0]
        before = features.sequence.pooled("first").chunk(2, dim=-1)[1]
        found = zip(top_tokens(self.output(after)), top_tokens(self.output(before)))
        return [{"next": following, "previous": preceding} for following, preceding in found]
