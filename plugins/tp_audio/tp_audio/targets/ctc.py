"""Connectionist temporal classification (Graves et al., 2006)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tp_audio.error_rate import token_errors
from tp_audio.targets.ctc_options import CTCConfig
from tp_core.interfaces import IGNORE, Batch, Features, Sequence, Target, TargetOutput
from tp_core.modules.layers.dropout import dropout
from tp_core.modules.layers.linear import Linear
from tp_core.options.context import BuildContext


class CTC(Target):
    """States → tokens. Labels ``ctc``: ``labels`` (batch, longest text), padded on the right with ``IGNORE``.

    The loss of a text is minus the log of the summed probabilities of all its alignments with the states. Padding of
    the states is on the right. A text that is too long for its states has a loss of zero; the metric ``too_long`` is
    the share of such texts.
    """

    def __init__(self, config: CTCConfig, context: BuildContext) -> None:
        super().__init__()
        self.blank, self.dropout, self.average = config.blank, config.dropout, config.average
        self.output = Linear(context.hidden_size, context.vocab_size, std=config.init_std)

    def frame_logits(self, sequence: Sequence) -> Tensor:
        """(batch, length, hidden) → (batch, length, vocabulary)."""
        logits: Tensor = self.output(dropout(sequence.states, self.dropout, self.training))
        return logits

    def denominator(self, batch: Batch) -> Tensor:
        labels = self.labels_of(batch)["labels"]
        if self.average == "tokens":
            return (labels != IGNORE).sum().float()
        return torch.full((), float(len(labels)), device=labels.device)

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        labels, logits = self.labels_of(batch)["labels"], self.frame_logits(features.sequence)
        lengths, sizes = features.sequence.real().sum(dim=1), (labels != IGNORE).sum(dim=1)
        losses = self._losses(logits.float().log_softmax(dim=-1), labels, lengths, sizes)
        if self.average == "mean":
            losses = losses / sizes.clamp(min=1)
        # CTC needs a blank between two equal tokens.
        repeated = ((labels[:, 1:] == labels[:, :-1]) & (labels[:, 1:] != IGNORE)).sum(dim=1)
        too_long = (sizes + repeated > lengths).sum().float()
        samples = torch.full_like(too_long, len(labels))
        metrics = {"too_long": (too_long, samples)}
        if not self.training and not logits.is_meta:
            wanted = [row[:size] for row, size in zip(labels.tolist(), sizes.tolist())]
            errors, count = token_errors(wanted, self.decode(logits, lengths))
            metrics["token_error_rate"] = (torch.full_like(samples, errors), torch.full_like(samples, count))
        return TargetOutput(losses.sum(), self.denominator(batch), metrics)

    def _losses(self, found: Tensor, labels: Tensor, lengths: Tensor, sizes: Tensor) -> Tensor:
        """Losses (batch,), given log probabilities (batch, length, vocabulary)."""
        if found.is_meta:  # torch has no ctc_loss on the meta device, where the cost of a model is estimated
            return found.sum(dim=(1, 2))
        options: dict[str, Any] = {"blank": self.blank, "reduction": "none", "zero_infinity": True}
        return F.ctc_loss(found.transpose(0, 1), labels.clamp(min=0), lengths, sizes, **options)

    def decode(self, logits: Tensor, lengths: Tensor) -> list[list[int]]:
        """Greedy search: the most probable token of each state, without repeated tokens and blanks."""
        best = logits.argmax(dim=-1)
        kept = (best != self.blank) & (torch.arange(best.shape[1], device=best.device) < lengths.unsqueeze(1))
        kept[:, 1:] &= best[:, 1:] != best[:, :-1]
        return [row[keep].tolist() for row, keep in zip(best.cpu(), kept.cpu())]

    @torch.no_grad()
    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        """The tokens of each sample."""
        lengths = features.sequence.real().sum(dim=1)
        return [{"token_ids": ids} for ids in self.decode(self.frame_logits(features.sequence), lengths)]
