"""Filters that restrict the distribution for sampling; each equals transformers' logits warper of the same name.

A filter is a rule: it maps scores (rows, vocabulary) to scores of the same shape, -inf where a token is excluded.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tp_core.generation.logits_rules import Written


@dataclass
class Temperature:
    """Divides the scores. Values below 1 make probable tokens more probable."""

    value: float

    def __call__(self, scores: Tensor, texts: Written) -> Tensor:
        return scores / self.value


@dataclass
class TopK:
    """Keeps the k most probable tokens, and ties with the last of them (Fan et al., 2018)."""

    count: int

    def __call__(self, scores: Tensor, texts: Written) -> Tensor:
        least = scores.topk(min(self.count, scores.shape[-1])).values[:, -1:]
        return scores.masked_fill(scores < least, -torch.inf)


@dataclass
class TopP:
    """Keeps the smallest set of most probable tokens whose probabilities sum to at least p (Holtzman et al., 2020)."""

    share: float

    def __call__(self, scores: Tensor, texts: Written) -> Tensor:
        rising, order = scores.sort()
        needless = rising.softmax(dim=-1).cumsum(dim=-1) <= 1 - self.share
        needless[:, -1] = False
        return scores.masked_fill(needless.scatter(1, order, needless), -torch.inf)


@dataclass
class MinP:
    """Keeps tokens whose probability is at least a fraction of the greatest one (Nguyen et al., 2024)."""

    part: float

    def __call__(self, scores: Tensor, texts: Written) -> Tensor:
        probabilities = scores.softmax(dim=-1)
        best = probabilities.amax(dim=-1, keepdim=True)
        return scores.masked_fill(probabilities < self.part * best, -torch.inf)


@dataclass
class Typical:
    """Keeps tokens whose information is nearest to the entropy, up to a total probability (Meister et al., 2022)."""

    share: float

    def __call__(self, scores: Tensor, texts: Written) -> Tensor:
        logs = scores.log_softmax(dim=-1)
        entropy = -(logs * logs.exp()).nansum(dim=-1, keepdim=True)
        distances, order = (-logs - entropy).abs().sort()
        together = scores.gather(1, order).softmax(dim=-1).cumsum(dim=-1)
        last = (together < self.share).sum(dim=-1, keepdim=True).clamp(max=scores.shape[-1] - 1)
        needless = distances > distances.gather(1, last)
        needless[:, 0] = False
        return scores.masked_fill(needless.scatter(1, order, needless), -torch.inf)
