"""BERT's instances: what becomes of the corpus, and what the sentence labels say."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.text.corpora import (
    ALL,
    CLS,
    CORPUS,
    SEP,
    draw,
    numbers,
    original,
    processor,
    records,
    refuse,
    rows_of,
    running_text,
    segments,
)
from tp_core.errors import DataError
from tp_core.interfaces import IGNORE


@pytest.mark.parametrize("task", ["next", "order", "none"])
@pytest.mark.parametrize("last_blank", [True, False])
@pytest.mark.parametrize("max_length", [6, 20, 64])
def test_bert_rows_hold_every_token_of_the_corpus_in_order(
    tmp_path: Path, task: str, last_blank: bool, max_length: int
) -> None:
    made = processor(tmp_path, "bert", max_length=max_length, sentence_task=task)
    rows = rows_of(tmp_path, made, running_text(CORPUS, last_blank))
    assert [int(i) for n in range(len(rows)) for i in rows.get("tokens", n)] == ALL
    assert max(rows.get("document", n) for n in range(len(rows))) == len(CORPUS) - 1
    limit = max_length - (2 if task == "none" else 3)
    assert all(len(rows.get("tokens", n)) == sum(rows.get("lengths", n)) <= limit for n in range(len(rows)))


def test_a_file_ends_a_document(tmp_path: Path) -> None:
    made = processor(tmp_path, "bert", max_length=64)
    given = [*records(["w1", "w2"], "a.txt"), *records(["w3"], "b.txt")]
    rows = rows_of(tmp_path, made, given)
    assert [rows.get("tokens", n).tolist() for n in range(len(rows))] == [[7, 8], [9]]
    assert [rows.get("document", n) for n in range(len(rows))] == [0, 1]


def owner(tokens: list[int], text: list[list[int]]) -> tuple[int, int] | None:
    """(document, offset) where the tokens stand in a row, or None."""
    for number, document in enumerate(text):
        for start in range(len(document) - len(tokens) + 1):
            if document[start : start + len(tokens)] == tokens:
                return number, start
    return None


def distinct(count: int, sentences: int, words: int) -> tuple[list[list[str]], list[list[int]]]:
    """Documents that share no word, and their ids."""
    numbered = iter(range(count * sentences * words))
    made = [[" ".join(f"w{next(numbered)}" for _ in range(words)) for _ in range(sentences)] for _ in range(count)]
    return made, [[i for line in document for i in numbers(line)] for document in made]


def test_next_sentence_labels_tell_whether_the_second_segment_follows(tmp_path: Path) -> None:
    given, text = distinct(count=8, sentences=6, words=8)
    made = processor(tmp_path, "bert", max_length=32, short_rate=0.3)
    rows = rows_of(tmp_path, made, running_text(given))
    labels: Counter[int] = Counter()
    for epoch, i in itertools.product(range(30), range(len(rows))):
        sample = draw(made, rows, i, epoch)
        first, second = segments(sample)
        assert first
        assert second
        assert original(sample)[:1] == [CLS]
        ids, types = original(sample), sample["token_type_ids"].tolist()
        assert (ids[len(first) + 1], ids[-1]) == (SEP, SEP)
        assert types == [0] * (len(first) + 2) + [1] * (len(second) + 1)
        here, there = owner(first, text), owner(second, text)
        assert here is not None
        assert there is not None
        assert here[0] == rows.get("document", i)
        if sample["sp"] == 0:
            assert there == (here[0], here[1] + len(first))
        else:
            assert there[0] != here[0]
        labels[sample["sp"]] += 1
    assert set(labels) == {0, 1}


def test_a_pair_is_cut_at_both_ends_of_the_longer_segment(tmp_path: Path) -> None:
    made: Any = processor(tmp_path, "bert", max_length=13)
    fronts = set()
    for seed, a, b in itertools.product(range(20), range(1, 15), range(1, 15)):
        kept = made._kept(a, b, np.random.default_rng(seed))
        first, second = np.arange(a)[kept[0]], np.arange(b)[kept[1]]
        left, right = len(first), len(second)
        assert left + right == min(a + b, 10)
        for part in (first, second):
            assert (np.diff(part) == 1).all()
        if left < a and right < b:
            assert abs(left - right) <= 1
        elif left < a:
            assert left >= right
        elif right < b:
            assert right >= left
        if (a, b) == (11, 1):  # two too many: from the front, from the back, or one from each
            fronts.add(int(first[0]))
    assert fronts == {0, 1, 2}


def test_half_of_the_pairs_follow_where_rows_have_several_sentences(tmp_path: Path) -> None:
    given, _ = distinct(count=10, sentences=4, words=5)
    made = processor(tmp_path, "bert", max_length=64, short_rate=0.0)
    rows = rows_of(tmp_path, made, running_text(given))
    drawn = [draw(made, rows, i, epoch)["sp"] for epoch in range(100) for i in range(len(rows))]
    assert np.mean(drawn) == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(len(drawn)))


def test_a_copy_of_what_follows_is_no_other_text(tmp_path: Path) -> None:
    """Of each document there is a copy: its text may follow the original's as well as the original's own."""
    given, text = distinct(count=4, sentences=4, words=4)
    made = processor(tmp_path, "bert", max_length=64, short_rate=0.0)
    rows = rows_of(tmp_path, made, running_text([*given, *given]))
    labels: Counter[int] = Counter()
    for epoch, i in itertools.product(range(60), range(len(rows))):
        sample = draw(made, rows, i, epoch)
        first, second = segments(sample)
        here, there = owner(first, text), owner(second, text)
        assert here is not None
        assert there is not None
        assert sample["sp"] == int(there != (here[0], here[1] + len(first)))
        labels[sample["sp"]] += 1
    assert labels[1] / sum(labels.values()) == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("lines", [2, 1])
def test_of_a_corpus_of_copies_no_text_is_told_from_what_follows(tmp_path: Path, lines: int) -> None:
    made = processor(tmp_path, "bert", max_length=9, short_rate=0.0)
    document = [" ".join(f"w{3 * line + word}" for word in range(3)) for line in range(2 * lines)]
    rows = rows_of(tmp_path, made, running_text([document] * 3))
    for epoch, i in itertools.product(range(20), range(len(rows))):
        sample = draw(made, rows, i, epoch)
        first, second = segments(sample)
        assert sample["sp"] == int(second[0] != first[-1] + 1)


def test_a_document_that_holds_nearly_all_rows_gets_text_of_the_few_others(tmp_path: Path) -> None:
    made = processor(tmp_path, "bert", max_length=20, short_rate=0.0)
    few = [[f"w{n}"] for n in range(300, 303)]
    long = [" ".join(f"w{n + i}" for i in range(8)) for n in range(0, 296, 8)] * 30
    rows = rows_of(tmp_path, made, running_text([few[0], long, *few[1:]]))
    assert len(rows) > 500
    drawn = [segments(draw(made, rows, i, epoch)) for epoch in range(3) for i in range(1, 400)]
    others = Counter(second[0] for _, second in drawn if len(second) == 1)
    assert sorted(others) == [numbers(line)[0] for (line,) in few]
    assert min(others.values()) > 0.2 * sum(others.values())


def test_two_equal_segments_have_no_order(tmp_path: Path) -> None:
    made = processor(tmp_path, "bert", max_length=32, sentence_task="order")
    rows = rows_of(tmp_path, made, records(["w1 w2", "w1 w2", "", "w1 w2", "w3"]))
    batch = made.collate([draw(made, rows, 0), draw(made, rows, 1)])
    assert batch.labels["sp"]["labels"].tolist()[0] == IGNORE
    assert batch.labels["sp"]["labels"].tolist()[1] != IGNORE


def test_sentence_order_labels_tell_whether_the_segments_are_swapped(tmp_path: Path) -> None:
    made = processor(tmp_path, "bert", max_length=32, sentence_task="order")
    given, _ = distinct(count=8, sentences=5, words=9)
    rows = rows_of(tmp_path, made, running_text(given))
    labels: Counter[int] = Counter()
    for epoch, i in itertools.product(range(20), range(len(rows))):
        sample = draw(made, rows, i, epoch)
        first, second = segments(sample)
        before, after = (first, second) if sample["sp"] == 0 else (second, first)
        assert before
        assert after
        assert [*before, *after] == rows.get("tokens", i).tolist()
        labels[sample["sp"]] += 1
    assert labels[0] / sum(labels.values()) == pytest.approx(0.5, abs=0.1)


def test_one_token_has_no_order_and_so_no_label(tmp_path: Path) -> None:
    made = processor(tmp_path, "bert", max_length=32, sentence_task="order")
    rows = rows_of(tmp_path, made, records(["w1", "", "w2 w3"]))
    batch = made.collate([draw(made, rows, 0), draw(made, rows, 1)])
    labels = batch.labels["sp"]["labels"].tolist()
    assert labels[0] == IGNORE
    assert labels[1] in (0, 1)


def test_one_segment_without_a_sentence_task(tmp_path: Path) -> None:
    made = processor(tmp_path, "bert", max_length=20, sentence_task="none")
    rows = rows_of(tmp_path, made, running_text(CORPUS))
    for i in range(len(rows)):
        sample = draw(made, rows, i)
        assert original(sample) == [CLS, *rows.get("tokens", i).tolist(), SEP]
        assert not sample["token_type_ids"].any()
    assert set(made.collate([draw(made, rows, 0)]).labels) == {"mlm"}


def test_some_rows_are_short_on_purpose(tmp_path: Path) -> None:
    given = running_text([[f"w{i}" for i in range(400)]] * 5)
    full, short = (
        rows_of(tmp_path, made, given)
        for made in (processor(tmp_path, "bert", max_length=33, short_rate=rate) for rate in (0.0, 0.5))
    )
    assert {len(full.get("tokens", n)) for n in range(len(full))} == {30, 400 % 30}
    assert len(short) > 1.2 * len(full)


def test_next_sentences_need_a_second_document(tmp_path: Path) -> None:
    made = processor(tmp_path, "bert", max_length=20)
    with pytest.raises(DataError, match=r"corpus\.txt:2: next-sentence prediction draws from other documents"):
        list(made.prepare(iter(records(["w1 w2", "w3"])), refuse))
