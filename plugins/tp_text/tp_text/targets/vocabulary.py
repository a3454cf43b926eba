"""Shared parts of targets that predict tokens: the output matrix and the most probable tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from tp_core.interfaces import Target
from tp_core.modules.layers.linear import Linear
from tp_text.targets.vocabulary_options import VocabularyTargetConfig


class VocabularyTarget(Target):
    """A target whose last layer computes one logit per token of the vocabulary."""

    output: Linear

    def __init__(self, config: VocabularyTargetConfig) -> None:
        super().__init__()
        self.tie = config.tie

    def tie_weights(self, shared: Mapping[str, nn.Parameter]) -> None:
        if self.tie:
            self.output.weight = shared["word"]


def top_tokens(logits: Tensor, count: int = 5) -> list[list[dict[str, Any]]]:
    """The most probable ids and their probabilities, for each row of logits (rows, vocabulary)."""
    probabilities, ids = logits.float().softmax(dim=-1).topk(min(count, logits.shape[-1]))
    return [
        [{"id": i, "probability": p} for i, p in zip(id_row, p_row)]
        for id_row, p_row in zip(ids.tolist(), probabilities.tolist())
    ]
