"""Greedy search, sampling and beam search, on texts so short that all of them can be tried."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from tp_core.generation.logits_rules import Rule, Written
from tp_core.generation.sampling_filters import Temperature, TopK, TopP
from tp_core.generation.search import Draw, Generated, beam_search, most_probable, write

END = 3
VOCABULARY = 5


class Table:
    """A stepper that scores by what has been written so far: each text has random scores of its own."""

    def __init__(self, rows: int, seed: int = 0, scale: float = 1.0) -> None:
        self.seed, self.scale = seed, scale
        self.texts: list[tuple[int, ...]] = [(row,) for row in range(rows)]  # a row's number, then its tokens
        self.widths: list[int] = []

    def after(self, text: tuple[int, ...]) -> Tensor:
        key = self.seed
        for token in text:
            key = (key * 31 + token + 1) % 2**31
        return torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(key)) * self.scale

    def logits(self, ids: Tensor | None) -> Tensor:
        if ids is not None:
            self.texts = [(*text, token) for text, token in zip(self.texts, ids.tolist(), strict=True)]
        self.widths.append(len(self.texts))
        return torch.stack([self.after(text) for text in self.texts])

    def reorder(self, index: Tensor) -> None:
        self.texts = [self.texts[i] for i in index.tolist()]


def log_probability(table: Table, row: int, tokens: list[int]) -> float:
    total = 0.0
    for place, token in enumerate(tokens):
        scores = table.after((row, *tokens[:place])).double()
        total += scores[token].item() - math.log(scores.exp().sum().item())
    return total


def best(row: int, seed: int, longest: int, length_penalty: float) -> Generated:
    """The best of all texts there are."""
    table, found = Table(row + 1, seed), []
    others = [token for token in range(VOCABULARY) if token != END]
    for length in range(longest + 1):
        for ids in itertools.product(others, repeat=length):
            tokens = [*ids] if length == longest else [*ids, END]
            found.append((log_probability(table, row, tokens) / len(tokens) ** length_penalty, ids, length < longest))
    _, ids, finished = max(found)
    return Generated(list(ids), finished)


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_beam_as_wide_as_all_texts_finds_the_best_of_all(seed: int, length_penalty: float) -> None:
    # Only a search that never ends early can be compared: longer texts may be better with a length penalty.
    rows, longest = 4, 3
    beams = VOCABULARY**longest
    found = beam_search(Table(rows, seed), [longest] * rows, (END,), beams, length_penalty)
    assert found == [best(row, seed, longest, length_penalty) for row in range(rows)]


@pytest.mark.parametrize("seed", range(5))
def test_a_beam_of_two_is_never_worse_than_greedy_search_where_all_texts_have_one_length(seed: int) -> None:
    table = Table(3, seed)
    greedy = write(Table(3, seed), [4] * 3, (), most_probable)
    beam = beam_search(Table(3, seed), [4] * 3, (), 2)
    for row in range(3):
        assert len(beam[row].ids) == len(greedy[row].ids) == 4
        assert log_probability(table, row, beam[row].ids) >= log_probability(table, row, greedy[row].ids) - 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_a_beam_of_one_is_greedy_search(seed: int) -> None:
    rows, limits = 6, [1, 2, 3, 4, 5, 6]
    greedy = write(Table(rows, seed), limits, (END,), most_probable)
    assert beam_search(Table(rows, seed), limits, (END,), 1) == greedy


def test_greedy_search_takes_the_most_probable_token_until_an_end_or_the_limit() -> None:
    limits, rows = [7, 2, 7, 5], 4
    for row, text in enumerate(write(Table(rows), limits, (END, 1), most_probable)):
        table, ids = Table(rows), []
        while len(ids) < limits[row]:
            token = int(table.after((row, *ids)).argmax())
            if token in (END, 1):
                break
            ids.append(token)
        assert text == Generated(ids, len(ids) < limits[row])


def test_texts_that_are_over_leave_the_batch() -> None:
    table = Table(8, seed=3)
    texts = write(table, [1, 3, 9, 9, 9, 9, 9, 9], (END,), most_probable)
    lengths = [len(text.ids) + text.finished for text in texts]
    assert table.widths == [sum(length > step for length in lengths) for step in range(max(lengths))]
    wide = Table(4, seed=3)
    beam_search(wide, [1, 2, 9, 9], (END,), 2)
    assert wide.widths[0] == 4
    assert wide.widths[1] == 6  # two beams for each of the three texts that may go on
    assert wide.widths[2] <= 4


def test_each_text_of_a_batch_is_what_it_is_alone() -> None:
    limits = [3, 6, 4, 8]
    together = beam_search(Table(4, seed=5), limits, (END,), 3)
    for row in range(4):
        table = Table(4, seed=5)
        table.texts = [(row,)]
        assert beam_search(table, [limits[row]], (END,), 3) == [together[row]]


def sampled(count: int, logits: list[float], *filters: Rule) -> list[int]:
    scores, texts = torch.tensor([logits] * count), Written.of([[]] * count, [1] * count, torch.device("cpu"))
    for each in filters:
        scores = each(scores, texts)
    return Draw([(7, number) for number in range(count)])(scores, list(range(count)), 0).tolist()


def shares(tokens: list[int], size: int) -> list[float]:
    return [tokens.count(token) / len(tokens) for token in range(size)]


def test_samples_follow_the_models_distribution() -> None:
    logits = [0.5, -1.0, 2.0, 0.0]
    expected = torch.tensor(logits).softmax(0).tolist()
    assert shares(sampled(4000, logits), 4) == pytest.approx(expected, abs=0.03)
    cool = (torch.tensor(logits) / 0.5).softmax(0).tolist()
    assert shares(sampled(4000, logits, Temperature(0.5)), 4) == pytest.approx(cool, abs=0.03)


def test_top_k_keeps_the_k_most_probable_tokens() -> None:
    logits = [0.5, -1.0, 2.0, 0.0]
    found = shares(sampled(4000, logits, TopK(2)), 4)
    expected = torch.tensor([0.5, 2.0]).softmax(0).tolist()
    assert found == pytest.approx([expected[0], 0, expected[1], 0], abs=0.03)
    assert set(sampled(100, logits, TopK(1))) == {2}
    assert set(sampled(2000, logits, TopK(99))) == {0, 1, 2, 3}


def test_top_p_keeps_the_fewest_tokens_that_reach_it() -> None:
    logits = torch.tensor([0.15, 0.5, 0.05, 0.3]).log().tolist()
    assert set(sampled(500, logits, TopP(0.01))) == {1}
    assert set(sampled(500, logits, TopP(0.49))) == {1}
    assert set(sampled(500, logits, TopP(0.7))) == {1, 3}
    assert set(sampled(500, logits, TopP(0.9))) == {0, 1, 3}
    assert shares(sampled(4000, logits, TopP(0.7)), 4) == pytest.approx([0, 0.625, 0, 0.375], abs=0.03)


def test_tokens_that_cannot_be_are_never_drawn() -> None:
    logits = [0.0, -math.inf, 0.0, -math.inf]
    assert set(sampled(1000, logits)) == {0, 2}


def test_a_samples_text_depends_on_its_own_stream_alone() -> None:
    def texts(numbers: list[int]) -> list[Generated]:
        table = Table(9)
        table.texts = [(number,) for number in numbers]
        return write(table, [6] * len(numbers), (END,), Draw([(1, number) for number in numbers]))

    together = texts([0, 1, 2, 3, 4])
    assert texts([3, 1]) == [together[3], together[1]]
    assert len({tuple(text.ids) for text in together}) > 1
