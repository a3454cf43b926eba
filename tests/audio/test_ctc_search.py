"""Prefix beam search finds the text whose paths are the most probable together."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import pytest
import torch
from torch import Tensor

from tp_audio.ctc_search import prefix_beam_search, search

VOCABULARY = 4


def scores(length: int, seed: int, sharpness: float = 1.0) -> Tensor:
    drawn = torch.randn(length, VOCABULARY, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (drawn * sharpness).log_softmax(dim=-1)


def by_enumeration(found: Tensor, blank: int) -> dict[tuple[int, ...], float]:
    """Log probability of every text: of all paths that spell it."""
    total: defaultdict[tuple[int, ...], float] = defaultdict(float)
    for path in itertools.product(range(VOCABULARY), repeat=len(found)):
        text = tuple(token for token, _ in itertools.groupby(path) if token != blank)
        total[text] += math.exp(sum(float(found[i, token]) for i, token in enumerate(path)))
    return {text: math.log(value) for text, value in total.items()}


@pytest.mark.parametrize("blank", [0, 2])
@pytest.mark.parametrize("seed", range(6))
def test_with_beams_enough_every_text_has_its_probability(seed: int, blank: int) -> None:
    given = scores(5, seed)
    expected = by_enumeration(given, blank)
    found = {tuple(text): score for text, score in prefix_beam_search(given, 2000, blank)}
    assert found.keys() == expected.keys()
    assert all(abs(found[text] - score) < 1e-9 for text, score in expected.items())


def test_the_best_text_may_be_another_than_that_of_the_best_path() -> None:
    # Each state prefers the blank, and yet one token somewhere is more probable than none.
    given = torch.tensor([[0.6, 0.4], [0.6, 0.4]]).log()
    assert prefix_beam_search(given, 2)[0][0] == [1]
    assert prefix_beam_search(given, 2)[0][1] == pytest.approx(math.log(0.64))


def test_few_beams_find_the_best_text_where_it_is_clear() -> None:
    for seed in range(20):
        given = scores(6, seed, sharpness=8.0)
        every = by_enumeration(given, 0)
        assert tuple(prefix_beam_search(given, 4)[0][0]) == max(every, key=lambda text: every[text])


def test_a_batch_is_searched_up_to_each_samples_length() -> None:
    logits = torch.stack([scores(6, seed) for seed in (1, 2)])
    found = search(logits, torch.tensor([6, 3]), beams=4)
    assert found == [prefix_beam_search(logits[0], 4)[0][0], prefix_beam_search(logits[1][:3], 4)[0][0]]
    assert search(logits[:1], torch.tensor([0]), beams=4) == [[]]
