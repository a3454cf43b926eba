"""word2vec's and Ngram2vec's instances: windows, dropped words, random words."""

from __future__ import annotations

import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.text.corpora import ALL, FIRST, LINES, PAD, SIZE, UNK, draw, processor, records, rows_of
from tp_core.interfaces import IGNORE


def skipgram(folder: Path, **options: Any) -> Any:
    return processor(folder, "skipgram", **{"subsample": 0.0, **options})


def around(tokens: list[int], lines: list[int], place: int, reach: int) -> list[int]:
    """The words of the same line at most ``reach`` away."""
    near = range(max(0, place - reach), min(len(tokens), place + reach + 1))
    return [tokens[p] for p in near if p != place and lines[p] == lines[place]]


def test_rows_hold_every_word_and_remember_the_lines(tmp_path: Path) -> None:
    made = skipgram(tmp_path, max_length=16)
    rows = rows_of(tmp_path, made, LINES)
    each = [rows.get("tokens", n).tolist() for n in range(len(rows))]
    assert [i for row in each for i in row] == ALL
    assert {len(row) for row in each[:-1]} == {16}
    assert [sum(rows.get("lengths", n)) for n in range(len(rows))] == [len(row) for row in each]
    unknown = rows_of(tmp_path, made, records(["w1 nothing w2", "nothing"]))
    assert unknown.get("tokens", 0).tolist() == [7, 8]
    assert UNK not in unknown.get("tokens", 0)


@pytest.mark.parametrize("window", [1, 2, 5])
def test_contexts_are_the_words_of_a_random_window_in_the_same_line(tmp_path: Path, window: int) -> None:
    made = skipgram(tmp_path, max_length=32, window=window)
    rows = rows_of(tmp_path, made, LINES)
    reaches = np.zeros(window + 1)
    for index in range(len(rows)):
        tokens = rows.get("tokens", index).tolist()
        lines = np.repeat(np.arange(len(rows.get("lengths", index))), rows.get("lengths", index)).tolist()
        sample = draw(made, rows, index)
        assert sample["context"].shape == (len(tokens), 2 * window)
        for place in range(len(tokens)):
            found = [i for i in sample["context"][place].tolist() if i != IGNORE]
            possible = {reach: around(tokens, lines, place, reach) for reach in range(1, window + 1)}
            assert found in possible.values()
            matching = [reach for reach, words in possible.items() if words == found]
            if len(matching) == 1:
                reaches[matching[0]] += 1
    if window == 5:
        assert (reaches[1:4] > 0.1 * reaches.sum()).all()


def test_frequent_words_are_dropped_at_the_papers_rate_and_stand_in_no_window(tmp_path: Path) -> None:
    text = " ".join(f"w{n % 2 if n % 10 else 2 + n // 10 % 50}" for n in range(1000))
    made = skipgram(tmp_path, max_length=1000, window=1, subsample=0.01)
    rows = rows_of(tmp_path, made, records([text]))
    tokens = rows.get("tokens", 0)
    kept = np.zeros(2)
    for epoch in range(200):
        context = draw(made, rows, 0, epoch)["context"]
        used = (context != IGNORE).any(axis=1)
        for word in range(2):
            kept[word] += used[tokens == FIRST + word].mean() / 200
        rare = tokens >= FIRST + 2
        assert used[rare].mean() > 0.99
    for word in range(2):
        share = (tokens == FIRST + word).mean()
        assert kept[word] == pytest.approx(np.sqrt(0.01 / share), abs=0.02)


def test_windows_close_over_dropped_words(tmp_path: Path) -> None:
    made = skipgram(tmp_path, max_length=200, window=1, subsample=0.02)
    rows = rows_of(tmp_path, made, records([" ".join(f"w1 w{n}" for n in range(2, 52))]))
    tokens = rows.get("tokens", 0).tolist()
    for epoch in range(20):
        context = draw(made, rows, 0, epoch)["context"]
        left = [p for p in range(len(tokens)) if (context[p] != IGNORE).any()]
        for before, place in pairwise(left):
            assert context[place][0] == tokens[before]
    assert len(left) < len(tokens)


def test_random_words_follow_the_counts_to_the_power_of_three_quarters(tmp_path: Path) -> None:
    counts = {1: 256, 2: 16, 3: 1}
    made = skipgram(tmp_path, max_length=64, negatives=20)
    rows = rows_of(tmp_path, made, records([" ".join(f"w{word}" for word, n in counts.items() for _ in range(n))]))
    drawn = np.concatenate([draw(made, rows, 0, epoch)["negatives"].ravel() for epoch in range(60)])
    weights = np.array([n**0.75 for n in counts.values()])
    for word, weight in zip(counts, weights / weights.sum()):
        assert (drawn == FIRST + word).mean() == pytest.approx(weight, abs=0.01)
    assert set(drawn.tolist()) <= {FIRST + word for word in counts}


def test_bigrams_are_contexts_in_buckets_after_the_vocabulary(tmp_path: Path) -> None:
    plain, made = skipgram(tmp_path, window=3), skipgram(tmp_path, window=3, ngrams=2, ngram_buckets=1000)
    rows = rows_of(tmp_path, made, records(["w1 w2 w3 w4 w5", "w2 w3 w9"]))
    before, after = draw(plain, rows, 0), draw(made, rows, 0)
    assert after["context"].shape == (8, 6 + 4)
    np.testing.assert_array_equal(after["context"][:, :6], before["context"])
    buckets = after["context"][:, 6:]
    assert ((buckets == IGNORE) | ((buckets >= SIZE) & (buckets < SIZE + 1000))).all()
    names: dict[tuple[int, int], int] = {}
    for words, found in zip(before["context"].tolist(), buckets.tolist()):
        left, right = words[:3], words[3:]
        pairs = [*pairwise(left), *pairwise(right)]
        for pair, bucket in zip(pairs, found):
            assert (bucket == IGNORE) == (IGNORE in pair)
            if bucket != IGNORE:
                assert names.setdefault(pair, bucket) == bucket
    assert len(set(names.values())) == len(names), "these few fall into buckets of their own"
    drawn = np.concatenate([draw(made, rows, 0, epoch)["negatives"].ravel() for epoch in range(50)])
    assert (drawn >= SIZE).any()
    assert (drawn < SIZE).any()


def test_samples_are_the_same_in_another_process(tmp_path: Path) -> None:
    made = skipgram(tmp_path, max_length=32, subsample=1e-3, ngrams=2, ngram_buckets=64)
    rows = rows_of(tmp_path, made, LINES)
    first = [draw(made, rows, n) for n in range(len(rows))]
    other, again = pickle.loads(pickle.dumps((made, rows)))
    for index, sample in enumerate(first):
        for name, value in draw(other, again, index).items():
            np.testing.assert_array_equal(value, sample[name])


def test_padding_has_neither_contexts_nor_random_words(tmp_path: Path) -> None:
    made = skipgram(tmp_path, max_length=16, window=2, negatives=3)
    rows = rows_of(tmp_path, made, LINES)
    last = len(rows) - 1
    batch = made.collate([draw(made, rows, 0), draw(made, rows, last)])
    length = len(rows.get("tokens", last))
    assert length < 16
    assert batch.labels["sgns"]["context"].shape == (2, 16, 4)
    assert batch.labels["sgns"]["negatives"].shape == (2, 16, 3)
    assert (batch.labels["sgns"]["context"][1, length:] == IGNORE).all()
    assert (batch.labels["sgns"]["negatives"][1, length:] == IGNORE).all()
    assert batch.inputs["input_ids"][1, length:].tolist() == [PAD] * (16 - length)
    assert batch.inputs["attention_mask"][1].sum() == length


def test_texts_are_read_as_they_are_at_inference(tmp_path: Path) -> None:
    made = skipgram(tmp_path, max_length=4)
    batch = made.collate(made.encode(records(["w1 w2", "", "w1 w2 w3 w4 w5"])))
    assert batch.inputs["input_ids"].tolist() == [[7, 8, PAD, PAD], [UNK, PAD, PAD, PAD], [7, 8, 9, 10]]
    assert not batch.labels
