"""The causal language model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tp_core.interfaces import IGNORE, Batch, Features, TargetOutput
from tp_core.modules.layers.cross_entropy import linear_cross_entropy
from tp_core.modules.layers.linear import Linear
from tp_core.options.context import BuildContext
from tp_text.targets.lm_options import LanguageModelConfig
from tp_text.targets.vocabulary import VocabularyTarget, top_tokens


class LanguageModel(VocabularyTarget):
    """Predicts the next token. Labels ``lm``: ``labels`` (batch, length), the token after each position."""

    def __init__(self, config: LanguageModelConfig, context: BuildContext) -> None:
        super().__init__(config)
        self.smoothing, self.z_loss = config.label_smoothing, config.z_loss
        self.soft_cap = config.soft_cap
        self.factor = context.hidden_size**-0.5 if config.tied_scale else None
        self.output = Linear(context.hidden_size, context.vocab_size, bias=config.bias, std=config.init_std)

    def scaled(self, states: Tensor) -> Tensor:
        """States multiplied by the factor of ``tied_scale``, if set."""
        return states if self.factor is None else states * self.factor

    def token_logits(self, states: Tensor) -> Tensor:
        """(..., hidden) → (..., vocabulary)."""
        logits: Tensor = self.output(self.scaled(states))
        return logits if self.soft_cap is None else self.soft_cap * torch.tanh(logits / self.soft_cap)

    def denominator(self, batch: Batch) -> Tensor:
        return (self.labels_of(batch)["labels"] != IGNORE).sum().float()

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        states, labels = self.scaled(features.sequence.states), self.labels_of(batch)["labels"]
        loss, correct = linear_cross_entropy(
            states.reshape(-1, states.shape[-1]),
            self.output.weight,
            self.output.bias,
            labels.flatten(),
            label_smoothing=self.smoothing,
            z_loss=self.z_loss,
            soft_cap=self.soft_cap,
        )
        count = self.denominator(batch)
        return TargetOutput(loss, count, {"accuracy": (correct, count)})

    def logits(self, features: Features, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.token_logits(features.sequence.states).flatten(0, 1), self.labels_of(batch)[
            "labels"
        ].flatten() != IGNORE

    def next_logits(self, features: Features) -> Tensor:
        return self.token_logits(features.sequence.pooled("last"))

    @torch.no_grad()
    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        """The most probable tokens after the last position that is not padding."""
        return [{"next": tokens} for tokens in top_tokens(self.next_logits(features))]
