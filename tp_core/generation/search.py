"""Token-by-token text generation: greedy, sampling or beam search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor


class Stepper(Protocol):
    """A model that generates several texts at a time, one row each."""

    def logits(self, ids: Tensor | None) -> Tensor:
        """Scores of the next token, (rows, vocabulary), after appending ``ids`` (rows,); None in the first step."""

    def reorder(self, index: Tensor) -> None:
        """Continue with the rows selected by ``index`` (new rows,), in its order."""


class Adjust(Protocol):
    """Changes scores depending on the texts so far."""

    def __call__(self, scores: Tensor, ids: Tensor | None) -> Tensor:
        """Changed scores (rows, vocabulary), after appending ``ids`` (rows,) to the texts; None in the first step."""

    def reorder(self, index: Tensor) -> None:
        """Continue with the rows selected by ``index`` (new rows,), in its order."""


@dataclass
class Generated:
    """A text: its ids without the end token, and ``finished``, which is False if the text was cut at its limit."""

    ids: list[int]
    finished: bool = False


#: Chooses the next token (rows,) of each row from the scores (rows, vocabulary), the texts' indices of the rows, and
#: the number of tokens generated so far.
Choice = Callable[[Tensor, list[int], int], Tensor]


def most_probable(scores: Tensor, texts: list[int], step: int) -> Tensor:
    """Greedy search."""
    return scores.argmax(dim=-1)


class Draw:
    """Random sampling from the distribution of the scores.

    Each text has its own random stream, so it does not depend on other texts.

    Args:
        seeds: seed of each text's stream.
    """

    def __init__(self, seeds: Sequence[tuple[int, ...]]) -> None:
        self.streams = [np.random.default_rng(seed) for seed in seeds]

    def __call__(self, scores: Tensor, texts: list[int], step: int) -> Tensor:
        probabilities = scores.double().softmax(dim=-1)
        cumulated = probabilities.cumsum(dim=-1)
        drawn = torch.tensor([self.streams[text].random() for text in texts], dtype=torch.float64)
        drawn = drawn.to(scores.device).unsqueeze(1) * cumulated[:, -1:]
        # Rounding may put a draw at the very end; it must not exceed the last token that can be chosen.
        places = torch.arange(scores.shape[-1], device=scores.device)
        last = torch.where(probabilities > 0, places, 0).amax(dim=-1, keepdim=True)
        return torch.searchsorted(cumulated, drawn, right=True).minimum(last).squeeze(1)


def write(
    stepper: Stepper, limits: list[int], end: tuple[int, ...], choose: Choice, rules: Adjust | None = None
) -> list[Generated]:
    """Generate one text per row; finished texts leave the batch.

    Args:
        limits: maximum number of tokens of each text, at least 1.
        end: end tokens; any of them finishes a text.
        rules: change the scores before a token is chosen.
    """
    texts = [Generated([]) for _ in limits]
    rows = list(range(len(limits)))
    chosen: Tensor | None = None
    for step in range(max(limits)):
        scores = stepper.logits(chosen)
        chosen = choose(scores if rules is None else rules(scores.float(), chosen), rows, step)
        for row, token in zip(rows, chosen.tolist()):
            if token in end:
                texts[row].finished = True
            else:
                texts[row].ids.append(token)
        going = [i for i, row in enumerate(rows) if not texts[row].finished and step + 1 < limits[row]]
        if not going:
            break
        if len(going) < len(rows):
            index = torch.tensor(going, device=chosen.device)
            stepper.reorder(index)
            if rules is not None:
                rules.reorder(index)
            chosen, rows = chosen[index], [rows[i] for i in going]
    return texts


@dataclass
class _Beam:
    """The texts of one sample: the unfinished ones, best first, and the best finished ones."""

    running: list[tuple[float, list[int]]]
    over: list[tuple[float, Generated]]

    def keep(self, score: float, text: Generated, beams: int) -> None:
        self.over = sorted([*self.over, (score, text)], key=lambda each: -each[0])[:beams]


def beam_search(
    stepper: Stepper,
    limits: list[int],
    end: tuple[int, ...],
    beams: int,
    length_penalty: float = 1.0,
    early_stopping: bool | Literal["never"] = False,
    rules: Adjust | None = None,
) -> list[Generated]:
    """For each row, find the text with the highest mean log probability by beam search.

    The score of a text is the sum of its tokens' log probabilities, including the end token, divided by their number
    to the power of ``length_penalty`` (Wu et al., 2016, without their constant). The search ends when it has ``beams``
    finished texts and no unfinished text can become better.

    Args:
        limits: maximum number of tokens of each text, at least 1.
        end: end tokens; any of them finishes a text.
        beams: number of texts that are tracked in parallel.
        length_penalty: values above 0 favour longer texts.
        early_stopping: rule for ending the search. False compares with the score of an unfinished text at its present
            length; ``never`` compares with its score at the maximum length if longer texts are preferred; True ends the
            search as soon as there are ``beams`` finished texts.
        rules: change the log probabilities of the next tokens, which are not normalised again.
    """

    def next_scores(ids: Tensor | None) -> Tensor:
        scores = stepper.logits(ids).float().log_softmax(dim=-1)
        return scores if rules is None else rules(scores, ids)

    found = [_Beam([(0.0, [])], []) for _ in limits]
    going = list(range(len(limits)))
    # With this many candidates, enough of them are not end tokens.
    width = beams * (1 + max(1, len(end)))
    scores = next_scores(None)
    for step in range(max(limits)):
        candidates = _candidates(scores, [found[i] for i in going], width)
        parents: list[int] = []
        tokens: list[int] = []
        left = []
        size = len(scores) // len(going)
        for place, sample in enumerate(going):
            beam, last = found[sample], step + 1 == limits[sample]
            chosen: list[tuple[float, list[int], int]] = []
            for rank, (total, parent, token) in enumerate(candidates[place]):
                before = beam.running[parent][1]
                if token in end or last:
                    if rank < beams:
                        text = Generated(before, True) if token in end else Generated([*before, token])
                        beam.keep(total / (step + 1) ** length_penalty, text, beams)
                elif len(chosen) < beams:
                    chosen.append((total, [*before, token], place * size + parent))
            if not chosen:
                continue
            if len(beam.over) == beams:
                longest = limits[sample] if early_stopping == "never" and length_penalty > 0 else step + 1
                if early_stopping is True or chosen[0][0] / longest**length_penalty <= beam.over[-1][0]:
                    continue
            beam.running = [(total, ids) for total, ids, _ in chosen]
            # Missing rows are filled with the first row; they are not candidates.
            chosen += [chosen[0]] * (beams - len(chosen))
            parents += [parent for _, _, parent in chosen]
            tokens += [ids[-1] for _, ids, _ in chosen]
            left.append(sample)
        if not left:
            break
        going = left
        index = torch.tensor(parents, device=scores.device)
        stepper.reorder(index)
        if rules is not None:
            rules.reorder(index)
        scores = next_scores(torch.tensor(tokens, device=scores.device))
    # If there is no finished text, the scores were NaN.
    return [beam.over[0][1] if beam.over else Generated(beam.running[0][1]) for beam in found]


def _candidates(scores: Tensor, found: list[_Beam], width: int) -> list[list[tuple[float, int, int]]]:
    """For each sample, the best next tokens of all unfinished texts: (text log probability, text index, token)."""
    size, vocabulary = len(scores) // len(found), scores.shape[-1]
    before = [[total for total, _ in beam.running] + [-np.inf] * (size - len(beam.running)) for beam in found]
    totals = scores.view(len(found), size, vocabulary) + torch.tensor(before, device=scores.device).unsqueeze(-1)
    best, where = totals.flatten(1).topk(min(width, size * vocabulary))
    return [
        [(total, *divmod(index, vocabulary)) for total, index in zip(row, places) if total > -np.inf]
        for row, places in zip(best.tolist(), where.tolist())
    ]
