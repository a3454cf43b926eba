"""Multiple choice: the right one of the choices of a question."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tp_core.errors import TPError
from tp_core.interfaces import IGNORE, Batch, Features, Sequence, Target, TargetOutput
from tp_core.modules.layers.activation import ACTIVATIONS
from tp_core.modules.layers.dropout import Dropout
from tp_core.modules.layers.linear import Linear
from tp_core.modules.targets.multiple_choice_options import MultipleChoiceConfig
from tp_core.options.context import BuildContext

#: Score in the place of a choice that a question does not have. Its probability is exactly 0. Minus infinity would make
#: NaN where a probability of 0 is multiplied by its logarithm (distillation).
_ABSENT = -1e9


class MultipleChoice(Target):
    """Pooled features of each choice → optional dense layer → score → softmax over the choices of a question.

    A sample is a question. Its sequences (``Batch.sequences``) are its choices, each with the question. Questions of a
    batch may have different numbers of choices.

    Labels ``choice``: ``labels`` (batch,), the index of the right choice, or ``IGNORE``.
    """

    def __init__(self, config: MultipleChoiceConfig, context: BuildContext) -> None:
        super().__init__()
        self.pooling = config.pooling or context.pooling
        hidden = context.hidden_size
        self.dense = Linear(hidden, hidden, std=config.init_std) if config.hidden_layer else None
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = Dropout(config.dropout)
        self.classifier = Linear(hidden, 1, std=config.init_std)

    def scores(self, features: Features, batch: Batch) -> Tensor:
        """The score of each choice, (batch, most choices), float32; a very low one where a question has fewer.

        Raises:
            TPError: the batch does not say which sequences are the choices of a question.
        """
        if batch.sequences is None:
            raise TPError(
                f"the target '{self.name}' chooses among the sequences of a sample, but each sample of the batch is "
                "one sequence; use a processor such as 'choice'"
            )
        pooled = features.sequence.pooled(self.pooling)
        if self.dense is not None:
            pooled = self.activation(self.dense(pooled))
        scores: Tensor = self.classifier(self.dropout(pooled))
        return batch.by_sample(scores.squeeze(-1).float(), _ABSENT)

    def read_positions(self, sequence: Sequence, batch: Batch, stream: str) -> Tensor | None:
        return sequence.pooled_position(self.pooling)

    def _labels(self, batch: Batch) -> Tensor:
        return self.labels_of(batch)["labels"]

    def logits(self, features: Features, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.scores(features, batch), self._labels(batch) != IGNORE

    def denominator(self, batch: Batch) -> Tensor:
        return (self._labels(batch) != IGNORE).sum().float()

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        scores, labels, count = self.scores(features, batch), self._labels(batch), self.denominator(batch)
        loss = F.cross_entropy(scores, labels, ignore_index=IGNORE, reduction="sum")
        right = (scores.argmax(dim=-1) == labels).sum().float()
        return TargetOutput(loss, count, {"accuracy": (right, count)})

    @torch.no_grad()
    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        """The index of the most probable choice, and the probabilities of all choices of the question."""
        scores = self.scores(features, batch)
        assert batch.sequences is not None  # scores() checks it
        best, counts = scores.argmax(dim=-1), (batch.sequences >= 0).sum(dim=-1)
        probabilities = scores.softmax(dim=-1).tolist()
        return [
            {"label": label, "probabilities": row[:count]}
            for label, row, count in zip(best.tolist(), probabilities, counts.tolist())
        ]
