"""A linear-chain conditional random field (Lafferty et al., 2001)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tp_core.modules.layers.linear import draw


class LinearChainCRF(nn.Module):
    """Scores of sequences of labels: emissions, transitions, and the first and last label.

    The score of labels y for emissions e is ``start[y_1] + Σ e_t[y_t] + Σ transitions[y_t, y_t+1] + end[y_n]``. All
    computations are in float32. Rows are padded on the right.

    Args:
        labels: number of labels.
        std: standard deviation of the initial weights.
    """

    def __init__(self, labels: int, std: float = 0.02) -> None:
        super().__init__()
        self.std = std
        self.start = nn.Parameter(torch.empty(labels))
        self.end = nn.Parameter(torch.empty(labels))
        self.transitions = nn.Parameter(torch.empty(labels, labels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for weight in (self.start, self.end, self.transitions):
            draw(weight, self.std)

    def forward(self, emissions: Tensor, labels: Tensor, real: Tensor) -> Tensor:
        """The sum of the negative log-likelihoods of all rows; an empty row adds nothing.

        Args:
            emissions: (batch, length, labels).
            labels: (batch, length), valid class numbers where ``real``.
            real: (batch, length) bool, True at the positions of each row, which begin at 0.
        """
        emissions = emissions.float()
        apart = self._normaliser(emissions, real) - self._score(emissions, labels.clamp(min=0), real)
        return torch.where(real[:, 0], apart, 0.0).sum()

    def _score(self, emissions: Tensor, labels: Tensor, real: Tensor) -> Tensor:
        """The scores of the given labels, (batch,)."""
        own = emissions.gather(2, labels.unsqueeze(2)).squeeze(2)
        steps = self.transitions.float()[labels[:, :-1], labels[:, 1:]]
        last = labels.gather(1, (real.sum(dim=1, keepdim=True) - 1).clamp(min=0)).squeeze(1)
        inside = (own * real).sum(dim=1) + (steps * real[:, 1:]).sum(dim=1)
        return inside + self.start.float()[labels[:, 0]] + self.end.float()[last]

    def _normaliser(self, emissions: Tensor, real: Tensor) -> Tensor:
        """The logarithm of the summed exponentials of the scores of all sequences of labels, (batch,)."""
        transitions = self.transitions.float()
        scores = self.start.float() + emissions[:, 0]
        for place in range(1, emissions.shape[1]):
            following = torch.logsumexp(scores.unsqueeze(2) + transitions, dim=1) + emissions[:, place]
            scores = torch.where(real[:, place, None], following, scores)
        return torch.logsumexp(scores + self.end.float(), dim=1)

    @torch.no_grad()
    def decode(self, emissions: Tensor, real: Tensor) -> Tensor:
        """The labels with the highest score (Viterbi), (batch, length); any value where not ``real``."""
        emissions, transitions = emissions.float(), self.transitions.float()
        scores = self.start.float() + emissions[:, 0]
        same = torch.arange(scores.shape[1], device=scores.device).expand_as(scores)
        before = []
        for place in range(1, emissions.shape[1]):
            best, origin = (scores.unsqueeze(2) + transitions).max(dim=1)
            here = real[:, place, None]
            scores = torch.where(here, best + emissions[:, place], scores)
            before.append(torch.where(here, origin, same))
        label = (scores + self.end.float()).argmax(dim=1)
        found = [label]
        for origin in reversed(before):
            label = origin.gather(1, label.unsqueeze(1)).squeeze(1)
            found.append(label)
        return torch.stack(found[::-1], dim=1)
