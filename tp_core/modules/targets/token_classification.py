"""Classification of tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tp_core.interfaces import IGNORE, Batch, Features, Target, TargetOutput
from tp_core.modules.layers.crf import LinearChainCRF
from tp_core.modules.layers.dropout import Dropout
from tp_core.modules.layers.linear import Linear
from tp_core.modules.targets.token_classification_options import TokenClassificationConfig
from tp_core.options.context import BuildContext


class TokenClassification(Target):
    """States of tokens → dropout → linear classifier → cross entropy, or a conditional random field.

    Labels ``token_cls``: ``labels`` (batch, length), or ``labels`` and ``positions``, both (batch, places). The second
    form computes logits at the given positions only, such as the first piece of each word. Positions are -1 in unused
    places, at the end of a row. Labels are class numbers, or ``IGNORE``.

    The loss is the mean over labelled tokens, also with a conditional random field: its negative log-likelihood is
    divided by the number of labelled tokens. There, the labelled places of a row must be its first ones.
    """

    def __init__(self, config: TokenClassificationConfig, context: BuildContext) -> None:
        super().__init__()
        self.smoothing = config.label_smoothing
        self.dropout = Dropout(config.dropout)
        self.classifier = Linear(context.hidden_size, config.num_labels, std=config.init_std)
        self.crf = LinearChainCRF(config.num_labels, config.init_std) if config.crf else None

    def token_logits(self, features: Features, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits (batch, places, classes), and a mask (batch, places), True at places that have a token."""
        states, labels = features.sequence.states, self.labels_of(batch)
        positions = labels.get("positions")
        if positions is None:
            real = features.sequence.real()
        else:
            rows = torch.arange(len(states), device=states.device).unsqueeze(1)
            states, real = states[rows, positions.clamp(min=0)], positions >= 0
        logits: Tensor = self.classifier(self.dropout(states))
        return logits, real

    def logits(self, features: Features, batch: Batch) -> tuple[Tensor, Tensor]:
        logits, _ = self.token_logits(features, batch)
        return logits.flatten(0, 1), (self.labels_of(batch)["labels"] != IGNORE).flatten()

    def denominator(self, batch: Batch) -> Tensor:
        return (self.labels_of(batch)["labels"] != IGNORE).sum().float()

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        logits, real = self.token_logits(features, batch)
        labels = self.labels_of(batch)["labels"]
        counted = (labels != IGNORE) & real
        count = self.denominator(batch)
        if self.crf is None:
            loss = F.cross_entropy(
                logits.float().flatten(0, 1),
                labels.masked_fill(~real, IGNORE).flatten(),
                ignore_index=IGNORE,
                reduction="sum",
                label_smoothing=self.smoothing,
            )
        else:
            loss = self.crf(logits, labels, counted)
        if self.crf is None or self.training:  # Viterbi decoding would slow the training down
            found = logits.argmax(dim=-1)
        else:
            found = self.crf.decode(logits, counted)
        correct = ((found == labels) & counted).sum().float()
        return TargetOutput(loss, count, {"accuracy": (correct, count)})

    @torch.no_grad()
    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        """The class of each token of a sample, ``labels``.

        Without a conditional random field, also ``probabilities``: that of each token's class.
        """
        logits, real = self.token_logits(features, batch)
        counts = real.sum(dim=1).tolist()
        if self.crf is not None:
            classes = self.crf.decode(logits, real).tolist()
            return [{"labels": row[:count]} for row, count in zip(classes, counts)]
        best, likely = logits.float().softmax(dim=-1).max(dim=-1)
        pairs = zip(likely.tolist(), best.tolist(), counts)
        return [{"labels": row[:count], "probabilities": values[:count]} for row, values, count in pairs]
