"""Extractive question answering: an answer is a span of the text."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tp_core.interfaces import IGNORE, Batch, Features, Target, TargetOutput
from tp_core.modules.layers.dropout import Dropout
from tp_core.modules.layers.linear import Linear
from tp_core.modules.targets.question_answering_options import QuestionAnsweringConfig
from tp_core.options.context import BuildContext

#: The logit of padding. It is finite, so that distillation compares distributions that are zero there.
_PADDING = -1e30


class QuestionAnswering(Target):
    """Scores each position as the first and as the last token of the answer: one linear layer with two outputs.

    Position 0, which is no part of the text, stands for "no answer".

    Labels ``qa``: ``start`` and ``end`` (batch,), the positions of the answer's first and last token, or ``IGNORE`` for
    an unlabelled sample; ``context`` (batch, 2), the first position of the text and the position after its last.
    The loss is the mean of the cross entropies of both ends (Devlin et al., 2019). The softmax is over all real
    positions. ``accuracy`` is the share of samples whose both ends are the most probable ones.
    """

    def __init__(self, config: QuestionAnsweringConfig, context: BuildContext) -> None:
        super().__init__()
        self.n_best, self.max_answer_length = config.n_best, config.max_answer_length
        self.dropout = Dropout(config.dropout)
        self.output = Linear(context.hidden_size, 2, std=config.init_std)

    def span_logits(self, features: Features) -> Tensor:
        """The logits of the first and of the last token, (batch, 2, length); padding has the least logits."""
        sequence = features.sequence
        logits: Tensor = self.output(self.dropout(sequence.states)).float().transpose(1, 2)
        return logits.masked_fill(~sequence.real().unsqueeze(1), _PADDING)

    def ends(self, batch: Batch) -> Tensor:
        """The labels of both ends, (batch, 2); ``IGNORE`` for both if one is unlabelled."""
        labels = self.labels_of(batch)
        ends = torch.stack([labels["start"], labels["end"]], dim=1)
        return ends.masked_fill((ends == IGNORE).any(dim=1, keepdim=True), IGNORE)

    def denominator(self, batch: Batch) -> Tensor:
        return (self.ends(batch) != IGNORE).sum().float()

    def logits(self, features: Features, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.span_logits(features).flatten(0, 1), self.ends(batch).flatten() != IGNORE

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        logits, ends = self.span_logits(features), self.ends(batch)
        loss = F.cross_entropy(logits.flatten(0, 1), ends.flatten(), ignore_index=IGNORE, reduction="sum")
        count = (ends != IGNORE).sum().float()
        right = (logits.argmax(dim=-1) == ends).all(dim=1).sum().float()
        return TargetOutput(loss, count, {"accuracy": (right, count / 2)})

    @torch.no_grad()
    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        """The best spans inside the text, and the score of "no answer".

        Returns:
            For each sample ``spans``, a list of ``start`` and ``end`` (first and last position) and ``score`` (the sum
            of both logits), in descending order of the scores; and ``null_score``, the sum of the logits of position 0.
        """
        logits, context = self.span_logits(features), self.labels_of(batch)["context"]
        positions = torch.arange(logits.shape[-1], device=logits.device)
        inside = (positions >= context[:, :1]) & (positions < context[:, 1:]) & features.sequence.real()
        first, last = logits.masked_fill(~inside.unsqueeze(1), -torch.inf).unbind(dim=1)
        longest = min(self.max_answer_length, last.shape[1])
        # (batch, length, longest): the span that begins at a position and has a number of tokens
        lasts = F.pad(last, (0, longest - 1), value=-torch.inf).unfold(1, longest, 1)
        scores = (first.unsqueeze(-1) + lasts).flatten(1)
        best, index = scores.topk(min(self.n_best, scores.shape[1]), dim=1)
        starts = index.div(longest, rounding_mode="floor")
        null = logits[:, :, 0].sum(dim=1, keepdim=True)
        # One copy to the host. Positions are exact in float32.
        found = torch.cat([best, starts.float(), (starts + index % longest).float(), null], dim=1).tolist()
        return [_prediction(row, best.shape[1]) for row in found]


def _prediction(row: list[float], count: int) -> dict[str, Any]:
    """A sample's prediction from the scores, starts and ends of its spans, and the score of "no answer"."""
    places = zip(row[:count], row[count : 2 * count], row[2 * count : 3 * count])
    spans = [{"start": int(start), "end": int(end), "score": score} for score, start, end in places if score > -1e29]
    # Equal scores have no order of their own.
    spans.sort(key=lambda span: (-span["score"], span["start"], span["end"]))
    return {"spans": spans, "null_score": row[-1]}
