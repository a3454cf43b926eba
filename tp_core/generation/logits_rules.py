"""Rules for the scores of the next token; each equals transformers' logits processor of the same name.

A rule maps the scores (rows, vocabulary) of all unfinished texts to scores of the same shape. Lengths never include
padding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Written:
    """The texts that are being generated, one row each.

    Attributes:
        ids: (rows, length) ids of each prompt and its generated tokens, right-aligned; -1 for padding.
        prompts: (rows,) number of tokens of each prompt; for an encoder-decoder model, of the decoder's start.
        limits: (rows,) maximum number of generated tokens.
        samples: (rows,) index of the sample that each row belongs to.
        step: number of tokens generated so far, in every row.
    """

    ids: Tensor
    prompts: Tensor
    limits: Tensor
    samples: Tensor
    step: int = 0

    @classmethod
    def of(cls, prompts: Sequence[Sequence[int]], limits: Sequence[int], device: torch.device) -> Written:
        """Make texts without generated tokens, after prompts of any length."""
        rows = padded(prompts, device)
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
        count = torch.arange(len(prompts), device=device)
        return cls(rows, lengths, torch.tensor(list(limits), device=device), count)

    @property
    def lengths(self) -> Tensor:
        """(rows,) number of tokens of each prompt and its text."""
        return self.prompts + self.step

    def append(self, ids: Tensor) -> None:
        """Append one token (rows,) to each text."""
        self.ids = torch.cat([self.ids, ids.unsqueeze(1)], dim=1)
        self.step += 1

    def reorder(self, index: Tensor) -> None:
        """Continue with the rows selected by ``index`` (new rows,), in its order."""
        for name in ("ids", "prompts", "limits", "samples"):
            setattr(self, name, getattr(self, name).index_select(0, index))


#: Maps scores (rows, vocabulary), float32, to scores of the same shape.
Rule = Callable[[Tensor, Written], Tensor]


def padded(rows: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """Pad ids on the left with -1 to (rows, longest)."""
    longest = max(map(len, rows), default=0)
    filled = [[-1] * (longest - len(row)) + [*row] for row in rows]
    return torch.tensor(filled, dtype=torch.long, device=device).view(len(rows), longest)


def _banned(tokens: Tensor, where: Tensor, size: int) -> Tensor:
    """Mask of banned ids, (rows, size), bool: the ``tokens`` (rows, count) where ``where`` is True.

    Ids outside of the vocabulary go to an extra column, which is cut off.
    """
    spare = ~where | (tokens < 0) | (tokens >= size)
    found = torch.zeros((len(tokens), size + 1), dtype=torch.bool, device=tokens.device)
    return found.scatter_(1, torch.where(spare, size, tokens), True)[:, :size]


def _without(scores: Tensor, banned: Tensor) -> Tensor:
    return scores.masked_fill(banned, -torch.inf)


def _mask(ids: Sequence[int], scores: Tensor) -> Tensor:
    """Mask of the given ids, (vocabulary,), bool; ids outside of the vocabulary are dropped."""
    known = [index for index in ids if index < scores.shape[-1]]
    mask = torch.zeros(scores.shape[-1], dtype=torch.bool)
    mask[known] = True
    return mask.to(scores.device)


class _OfIds:
    """A rule for fixed ids, whose mask is computed once."""

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
    """Divides positive scores of tokens that already occur, and multiplies negative ones (Keskar et al., 2019)."""

    penalty: float

    def __call__(self, scores: Tensor, texts: Written) -> Tensor:
        seen = _banned(texts.ids, texts.ids >= 0, scores.shape[-1])
        return torch.where(seen, torch.where(scores < 0, scores * self.penalty, scores / self.penalty), scores)


@dataclass
class NoRepeatedNgrams:
    """Excludes tokens that would repeat an n-gram of ``size`` tokens in the prompt or text."""

    size: int

    def __call__(self, scores: Tensor, texts: Written) -> Tensor:
        if texts.ids.shape[1] < self.size:
            return scores
        return _without(scores, _continued(texts.ids, texts, self.size, scores.shape[-1]))


class NoCopiedNgrams:
    """Excludes tokens that would copy an n-gram of ``size`` tokens from the model's input.

    Args:
        inputs: ids that the encoder or causal model reads, for each sample.
    """

    def __init__(self, size: int, inputs: Sequence[Sequence[int]], device: torch.device) -> None:
        self.size, self.inputs = size, padded(inputs, device)

    def __call__(self, scores: Tensor, texts: Written) -> Tensor:
        if min(self.inputs.shape[1], texts.ids.shape[1] + 1) < self.size:
            return scores
        return _without(scores, _continued(self.inputs[texts.samples], texts, self.size, scores.shape[-1]))


def _continued(rows: Tensor, texts: Written, size: int, vocabulary: int) -> Tensor:
    """The tokens that follow the last ``size`` - 1 tokens of each text anywhere in ``rows`` (rows, length)."""
    last = texts.ids[:, texts.ids.shape[1] + 1 - size :]
    windows = rows.unfold(1, size, 1)
    same = (windows[..., :-1] == last.unsqueeze(1)).all(dim=-1) & (texts.lengths + 1 >= size).unsqueeze(1)
    return _banned(windows[..., -1], same, vocabulary)


class BadWords:
    """Excludes tokens that would complete one of several id sequences, except a sequence that is a single end token."""

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
        """For each length, the first tokens (words, length - 1) and the last tokens (words,) of the sequences."""
        if self._made is None:
            lengths = sorted({len(row) for row in self.rows})
            groups = [torch.tensor([row for row in self.rows if len(row) == n], device=device) for n in lengths]
            self._made = [(group[:, :-1], group[:, -1]) for group in groups]
        return self._made


class LeastLength(_OfIds):
    """Excludes end tokens until a text has a minimum length.

    Args:
        whole: True if the length includes the prompt.
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
    """Excludes all tokens but the forced ones at some places; forced tokens get the score 0.

    Args:
        places: selects the texts that are at such a place, (rows,) bool.
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
        places: selects the texts that are at such a place, (rows,) bool; None for all.
    """

    def __init__(self, ids: Sequence[int], places: Callable[[Written], Tensor] | None = None) -> None:
        super().__init__(ids)
        self.places = places

    def __call__(self, scores: Tensor, texts: Written) -> Tensor:
        mask = self.mask(scores)
        return _without(scores, mask if self.places is None else mask & self.places(texts).unsqueeze(1))
