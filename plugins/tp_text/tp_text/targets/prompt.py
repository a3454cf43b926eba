"""Classification by the words of a prompt, which a language model scores."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from tp_core.interfaces import IGNORE, Batch, Features, MetricState, Sequence, Target, TargetOutput
from tp_core.modules.targets.class_loss import ClassLoss, class_predictions, labelled
from tp_core.options.context import BuildContext
from tp_text.targets.lm import LanguageModel
from tp_text.targets.mlm import MaskedLanguageModel
from tp_text.targets.prompt_options import (
    PromptLanguageModelConfig,
    PromptMaskedLanguageModelConfig,
    PromptTargetConfig,
)


class PromptTarget(Target):
    """Scores of words → scores of classes → cross entropy over the classes. It must be the first base class.

    The score of a word is the sum (or mean, ``normalize_length``) of the log-probabilities of its tokens. The score of
    a class is the logarithm of the mean probability of its words. A class of one word of one token therefore has the
    logit of this token, up to a number that all classes share, as in PET (Schick & Schütze, 2021).

    The labels are ``labels`` (batch,), class numbers or ``IGNORE``, and the places of the words' tokens:

    - ``rows`` and ``positions`` (batch, slots): the positions whose states predict tokens: the number of a sequence of
      the sample (``Batch.sequences``), and the position in it.
    - ``ids`` (batch, classes, words, tokens): the tokens of each word of each class. ``IGNORE`` fills up words with
      fewer tokens, and classes with fewer words.
    - ``slots`` (batch, classes, words, tokens): for each token, the slot that predicts it.
    """

    config: PromptTargetConfig
    loss: ClassLoss

    @abstractmethod
    def token_logits(self, states: Tensor) -> Tensor:
        """Logits of the tokens at positions of the final states: (..., hidden) → (..., vocabulary)."""

    def token_scores(self, features: Features, batch: Batch) -> Tensor:
        """The log-probability of each token in ``ids``, (batch, classes, words, tokens); any value for ``IGNORE``."""
        labels = self.labels_of(batch)
        rows, slots, ids = labels["rows"], labels["slots"], labels["ids"]
        first = torch.arange(len(rows), device=rows.device).unsqueeze(1)
        numbers = first + rows if batch.sequences is None else batch.sequences.gather(1, rows)
        states = features.sequence.states[numbers, labels["positions"]]  # (batch, slots, hidden)
        logits = self.token_logits(states).float()
        places = (slots * logits.shape[-1] + ids.clamp(min=0)).flatten(1)
        found = logits.flatten(1).gather(1, places) - logits.logsumexp(dim=-1).gather(1, slots.flatten(1))
        return found.reshape(ids.shape)

    def read_positions(self, sequence: Sequence, batch: Batch, stream: str) -> Tensor | None:
        """``positions`` of the labels, if each sample is one sequence."""
        labels = batch.labels.get(self.name)
        return None if labels is None or batch.sequences is not None else labels["positions"]

    def class_logits(self, features: Features, batch: Batch) -> Tensor:
        """The scores of all classes, (batch, classes)."""
        there = self.labels_of(batch)["ids"] != IGNORE
        lengths = there.sum(dim=-1)
        words = torch.where(there, self.token_scores(features, batch), 0.0).sum(dim=-1)
        if self.config.normalize_length:
            words = words / lengths.clamp(min=1)
        words = words.masked_fill(lengths == 0, -torch.inf)
        return words.logsumexp(dim=-1) - (lengths > 0).sum(dim=-1).log()

    def logits(self, features: Features, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.class_logits(features, batch), labelled(self.labels_of(batch))

    def labelled_rows(self, batch: Batch) -> Tensor:
        return labelled(self.labels_of(batch)).sum().float()

    def denominator(self, batch: Batch) -> Tensor:
        return self.loss.denominator(self.labels_of(batch))

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        logits, labels = self.class_logits(features, batch), self.labels_of(batch)
        return TargetOutput(self.loss(logits, labels), self.denominator(batch), self.loss.metrics(logits, labels))

    def tables(self, features: Features, batch: Batch) -> dict[str, MetricState]:
        return self.loss.tables(self.class_logits(features, batch), self.labels_of(batch))

    @torch.no_grad()
    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        return class_predictions(self.class_logits(features, batch))


class PromptMaskedLanguageModel(PromptTarget, MaskedLanguageModel):
    """Words at the masks of a prompt, scored by the head of a masked language model."""

    def __init__(self, config: PromptMaskedLanguageModelConfig, context: BuildContext) -> None:
        super().__init__(config, context)
        self.config, self.loss = config, ClassLoss(config)

    def token_logits(self, states: Tensor) -> Tensor:
        logits: Tensor = self.output(self.transform(states))
        return logits


class PromptLanguageModel(PromptTarget, LanguageModel):
    """Words in a prompt, scored by the head of a causal language model."""

    def __init__(self, config: PromptLanguageModelConfig, context: BuildContext) -> None:
        super().__init__(config, context)
        self.config, self.loss = config, ClassLoss(config)

    def token_logits(self, states: Tensor) -> Tensor:
        return LanguageModel.token_logits(self, states)
