"""Rules for the scores of a next token, each as transformers computes its logits processor of that name.

A rule maps the scores (rows, vocabulary) of all texts that are being written to scores of the same shape. Lengths are
those of a text alone: padding counts nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Written:
    """The texts that are being written, one row each.

    Attributes:
        ids: (rows, length) the ids of each prompt and what was written behind it, right-aligned; -1 where nothing is.
        prompts: (rows,) tokens of each prompt; of an encoder-decoder model, of the decoder's start.
        limits: (rows,) the most tokens that are written behind it.
        samples: (rows,) number of the sample that each row is a text of.
        step: number of tokens written so far, in every row.
    """

    ids: Tensor
    prompts: Tensor
    limits: Tensor
    samples: Tensor
    step: int = 0

    @classmethod
    def of(cls, prompts: Sequence[Sequence[int]], limits: Sequence[int], device: torch.device) -> Written:
        """Texts of which nothing is written yet, behind prompts of any lengths."""
        rows = padded(prompts, device)
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
        count = torch.arange(len(prompts), device=device)
        return cls(rows, lengths, torch.tensor(list(limits), device=device), count)

    @property
    def lengths(self) -> Tensor:
        """(rows,) tokens of each prompt and its text."""
        return self.prompts + self.step

    def append(self, ids: Tensor) -> None:
        """Write one token (rows,) to each text."""
        self.ids = torch.cat([self.ids, ids.unsqueeze(1)], dim=1)
        self.step += 1

    def reorder(self, index: Tensor) -> None:
        """Go on with the texts that ``index`` names, (new rows,), in its order."""
        for name in ("ids", "prompts", "limits", "samples"):
            setattr(self, name, getattr(self, name).index_select(0, index))


#: Maps scores (rows, vocabulary), float32, to scores of the same shape.
Rule = Callable[[Tensor, Written], Tensor]


def padded(rows: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """Ids as (rows, longest), right-aligned, -1 before them."""
    longest = max(map(len, rows), default=0)
    filled = [[-1] * (longest - len(row)) + [*row] for row in rows]
    return torch.tensor(filled, dtype=torch.long, device=device).view(len(rows), longest)


def _banned(tokens: Tensor, where: Tensor, size: int) -> Tensor:
    """A mask (rows, size), bool, of the ids that are among ``tokens`` (rows, count) at the places of ``where``.

    Ids outside of the vocabulary go to a column of their own, which is cut off.
    """
    spare = ~where | (tokens < 0) | (tokens >= size)
    found = torch.zeros((len(tokens), size + 1), dtype=torch.bool, device=tokens.device)
    return found.scatter_(1, torch.where(spare, size, tokens), True)[:, :size]


def _without(scores: Tensor, banned: Tensor) -> Tensor:
    return scores.masked_fill(banned, -torch.inf)


def _mask(ids: Sequence[int], scores: Tensor) -> Tensor:
    """The ids among those of the vocabulary, (vocabulary,), bool."""
    known = [index for index in ids if index < scores.shape[-1]]
    mask = torch.zeros(scores.shape[-1], dtype=torch.bool)
    mask[known] = True
    return mask.to(scores.device)


class _OfIds:
    """A rule for a few ids, which it looks for in the vocabulary once."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = ids
        self._found: Tensor | None = None

    def mask(self, scores: Tensor) -> Tensor:
        """(vocabulary,), bool."""
        if self._found is None:
            self._found = _mask(self.ids, scores)
        return self._found


@dataclass
class RepetitionPenalty:
    """Divides positive scores of tokens that are there already, and multiplies negative ones (Keskar et al., 2019)."""

    penalty: float

    def __call__(self, scores: Tensor, texts: Written) -> Tensor:
        seen = _banned(texts.ids, texts.ids >= 0, scores.shape[-1])
        return torch.where(seen, torch.where(scores < 0, scores * self.penalty, scores / self.penalty), scores)


@dataclass
class NoRepeatedNgrams:
    """Excludes tokens that would end a row of ``size`` tokens that is in the prompt or text already."""

    size: int

    def __call__(self, scores: Tensor, texts: Written) -> Tensor:
        if texts.ids.shape[1] < self.size:
            return scores
        return _without(scores, _continued(texts.ids, texts, self.size, scores.shape[-1]))


class NoCopiedNgrams:
    """Excludes tokens that would end a row of ``size`` tokens that is in the model's input.

    Args:
        inputs: the ids that each sample's encoder, or causal model, reads.
    """

    def __init__(self, size: int, inputs: Sequence[Sequence[int]], device: torch.device) -> None:
        self.size, self.inputs = size, padded(inputs, device)

    def __call__(self, scores: Tensor, texts: Written) -> Tensor:
        if min(self.inputs.shape[1], texts.ids.shape[1] + 1) < self.size:
            return scores
        return _without(scores, _continued(self.inputs[texts.samples], texts, self.size, scores.shape[-1]))


def _continued(rows: Tensor, texts: Written, size: int, vocabulary: int) -> Tensor:
    """The tokens that follow, anywhere in ``rows`` (rows, length), on the last ``size`` - 1 tokens of each text."""
    last = texts.ids[:, texts.ids.shape[1] + 1 - size :]
    windows = rows.unfold(1, size, 1)
    same = (windows[..., :-1] == last.unsqueeze(1)).all(dim=-1) & (texts.lengths + 1 >= size).unsqueeze(1)
    return _banned(windows[..., -1], same, vocabulary)


class BadWords:
    """Excludes tokens that would end one of several rows of ids; a row that is one end alone may be written."""

    def __init__(self, words: Sequence[Sequence[int]], end: Sequence[int]) -> None:
        several = [tuple(word) for word in words if tuple(word) not in {(index,) for index in end}]
        self.single = _OfIds([word[0] for word in several if len(word) == 1])
        self.rows = [word for word in several if len(word) > 1]
        self._made: list[tuple[Tensor, Tensor]] | None = None

    def __call__(self, scores: Tensor, texts: Written) -> Tensor:
        banned = self.single.mask(scores).expand_as(scores)
        for firsts, lasts in self._prepared(scores.device):
            length = firsts.shape[1]
            if length > texts.ids.shape[1]:
                continue
            same = (texts.ids[:, None, -length:] == firsts).all(dim=-1)
            banned = banned | _banned(lasts.expand(len(scores), -1), same, scores.shape[-1])
        return _without(scores, banned)

    def _prepared(self, device: torch.device) -> list[tuple[Tensor, Tensor]]:
        """Per length, the first tokens (words, length - 1) and the last (words,) of the rows."""
        if self._made is None:
            lengths = sorted({len(row) for row in self.rows})
            groups = [torch.tensor([row for row in self.rows if len(row) == n], device=device) for n in lengths]
            self._made = [(group[:, :-1], group[:, -1]) for group in groups]
        return self._made


class LeastLength(_OfIds):
    """Excludes the ends until a text has a length.

    Args:
        whole: whether the prompt counts.
    """

    def __init__(self, length: int, end: Sequence[int], whole: bool) -> None:
        super().__init__(end)
        self.length, self.whole = length, whole

    def __call__(self, scores: Tensor, texts: Written) -> Tensor:
        if texts.step >= self.length:
            return scores
        lengths = texts.lengths if self.whole else torch.full_like(texts.prompts, texts.step)
        return _without(scores, self.mask(scores) & (lengths < self.length).unsqueeze(1))


class Forced(_OfIds):
    """Excludes all other tokens, at some places; the forced ones have the score 0.

    Args:
        places: which texts are at such a place, (rows,) bool.
    """

    def __init__(self, ids: Sequence[int], places: Callable[[Written], Tensor]) -> None:
        super().__init__(ids)
        self.places = places

    def __call__(self, scores: Tensor, texts: Written) -> Tensor:
        alone = torch.zeros_like(scores).masked_fill(~self.mask(scores), -torch.inf)
        return torch.where(self.places(texts).unsqueeze(1), alone, scores)


class Suppressed(_OfIds):
    """Excludes tokens, everywhere or at some places.

    Args:
        places: which texts are at such a place, (rows,) bool; None for all.
    """

    def __init__(self, ids: Sequence[int], places: Callable[[Written], Tensor] | None = None) -> None:
        super().__init__(ids)
        self.places = places

    def __call__(self, scores: Tensor, texts: Written) -> Tensor:
        mask = self.mask(scores)
        return _without(scores, mask if self.places is None else mask & self.places(texts).unsqueeze(1))
