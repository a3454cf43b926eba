"""The masked language model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tp_core.interfaces import IGNORE, Batch, Features, Sequence, TargetOutput
from tp_core.modules import built
from tp_core.modules.layers.activation import ACTIVATIONS
from tp_core.modules.layers.cross_entropy import linear_cross_entropy
from tp_core.modules.layers.linear import Linear
from tp_core.options.context import BuildContext
from tp_text.targets.mlm_options import MaskedLanguageModelConfig
from tp_text.targets.vocabulary import VocabularyTarget, top_tokens


class MaskedLanguageModel(VocabularyTarget):
    """Predicts masked tokens: dense layer → activation → norm → vocabulary, at the labelled positions only.

    Labels ``mlm``: either ``labels`` (batch, length), or ``labels`` and ``positions``, both (batch, budget). The second
    form keeps shapes static and computes logits at these positions only. Unused places hold ``IGNORE``.
    """

    def __init__(self, config: MaskedLanguageModelConfig, context: BuildContext) -> None:
        super().__init__(config)
        inner = config.tied_width(context)
        self.dense = Linear(context.hidden_size, inner, bias=config.dense_bias, std=config.init_std)
        self.activation = ACTIVATIONS[config.activation]
        self.norm = built(config.norm.config, inner)
        self.output = Linear(inner, context.vocab_size, bias=config.bias, std=config.init_std)

    def transform(self, states: Tensor) -> Tensor:
        """Apply the dense layer, activation and norm: (..., hidden) → (..., dense_size)."""
        transformed: Tensor = self.norm(self.activation(self.dense(states)))
        return transformed

    def denominator(self, batch: Batch) -> Tensor:
        return (self.labels_of(batch)["labels"] != IGNORE).sum().float()

    def read_positions(self, sequence: Sequence, batch: Batch, stream: str) -> Tensor | None:
        """``positions`` of the labels, if there are any. Unused places have the number 0, or -1 in predictions."""
        positions = batch.labels.get(self.name, {}).get("positions")
        return None if positions is None else positions.clamp(min=0)

    def labelled(self, features: Features, batch: Batch) -> Tensor:
        """Transformed states at the labelled positions, (rows, embedding_size)."""
        states = features.sequence.states
        positions = self.labels_of(batch).get("positions")
        if positions is not None:
            rows = torch.arange(states.shape[0], device=states.device).unsqueeze(1) * states.shape[1]
            states = states.flatten(0, 1)[(rows + positions).flatten()]
        return self.transform(states.reshape(-1, states.shape[-1]))

    def logits(self, features: Features, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.output(self.labelled(features, batch)), self.labels_of(batch)["labels"].flatten() != IGNORE

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        states, labels = self.labelled(features, batch), self.labels_of(batch)["labels"]
        loss, correct = linear_cross_entropy(states, self.output.weight, self.output.bias, labels.flatten())
        count = self.denominator(batch)
        return TargetOutput(loss, count, {"accuracy": (correct, count)})

    @torch.no_grad()
    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        """The most probable tokens at the positions in ``labels['mlm']['positions']`` (-1: none)."""
        places = self.labels_of(batch)["positions"]
        states = features.sequence.states
        results = []
        for row, chosen in zip(states, places):
            chosen = chosen[chosen >= 0]
            tokens = top_tokens(self.output(self.transform(row[chosen]))) if len(chosen) else []
            results.append({"tokens": tokens})
        return results
