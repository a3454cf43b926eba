"""Text processors: what they make of a corpus, sample by sample."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.text.corpora import (
    CLS,
    EOS,
    FIRST,
    MASK,
    PAD,
    SEP,
    SIZE,
    SPECIAL,
    TAIL,
    WORDS,
    documents,
    draw,
    numbers,
    original,
    processor,
    records,
    refuse,
    rows_of,
    running_text,
    segments,
    tokenizer,
)
from tp_core.config import DataContext
from tp_core.errors import DataError, TPError
from tp_core.interfaces import IGNORE
from tp_core.testing import check_processor
from tp_text.processors.masking import Masking
from tp_text.processors.text import fit

CORPUS = documents(40)
ALL = [number for document in CORPUS for line in document for number in numbers(line)]
LINES = records([" ".join(document) for document in CORPUS])


# All processors


@pytest.mark.parametrize("name", ["bert", "mlm", "lm", "cls"])
def test_first_party_processors_conform(tmp_path: Path, name: str) -> None:
    given: list[dict[str, Any]] = [{"text": line} for document in CORPUS for line in [*document, ""]]
    if name == "cls":
        given = [{"text_a": line, "text_b": line[:9], "label": n % 2} for n, (line, *_) in enumerate(CORPUS)]
    check_processor(name, given, {"max_length": 24}, tokenizer=tokenizer(tmp_path))


@pytest.mark.parametrize(("name", "options"), [("bert", {}), ("bert", {"sentence_task": "order"}), ("mlm", {})])
def test_a_sample_is_a_function_of_seed_epoch_and_index(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    made = processor(tmp_path, name, max_length=24, **options)
    rows = rows_of(tmp_path, made, running_text(CORPUS))
    first = [draw(made, rows, i) for i in range(len(rows))]
    for i in reversed(range(len(rows))):
        again = draw(made, rows, i)
        for key, value in first[i].items():
            np.testing.assert_array_equal(value, again[key])
    assert [original(draw(made, rows, i)) for i in range(20)] == [original(s) for s in first[:20]]
    for change in ({"epoch": 1}, {"seed": 1}):
        other = [draw(made, rows, i, **change)["mlm_positions"].tolist() for i in range(20)]
        assert other != [s["mlm_positions"].tolist() for s in first[:20]]


@pytest.mark.parametrize("name", ["bert", "mlm", "lm"])
@pytest.mark.parametrize("max_length", [4, 5, 16, 64])
def test_no_sequence_is_longer_than_max_length(tmp_path: Path, name: str, max_length: int) -> None:
    made = processor(tmp_path, name, max_length=max_length)
    rows = rows_of(tmp_path, made, running_text(CORPUS))
    for epoch, i in itertools.product(range(3), range(len(rows))):
        assert len(draw(made, rows, i, epoch)["input_ids"]) <= max_length
    batch = made.collate([draw(made, rows, i) for i in range(min(8, len(rows)))])
    assert batch.source["input_ids"].shape[1] <= max_length


@pytest.mark.parametrize("name", ["bert", "mlm", "lm"])
def test_a_record_without_a_text_is_reported_and_the_others_are_kept(tmp_path: Path, name: str) -> None:
    made = processor(tmp_path, name, max_length=16)
    reported: list[DataError] = []
    given = records(["w1 w2", "", {"title": "w3"}, "w4", "w5 w6"])
    chunks = list(made.prepare(iter(given), reported.append))
    kept = [int(i) for chunk in chunks for row in chunk["tokens"] for i in row if i not in SPECIAL]
    assert kept == [FIRST + i for i in (1, 2, 4, 5, 6)]
    (error,) = reported
    assert str(error) == ("corpus.txt:3: no field 'text_a' or 'text'; the fields are title (data.columns renames them)")


@pytest.mark.parametrize("name", ["bert", "mlm", "cls"])
def test_padding_and_mask(tmp_path: Path, name: str) -> None:
    made = processor(tmp_path, name, max_length=29)
    short, long = made.encode(records(["w1 w2", " ".join(["w3"] * 50)]))
    batch = made.collate([short, long])
    assert batch.source["input_ids"].shape == (2, 29)
    mask = batch.source["attention_mask"]
    assert mask.sum(1).tolist() == [4, 29]
    assert batch.source["input_ids"][0].tolist() == [CLS, FIRST + 1, FIRST + 2, SEP, *[PAD] * 25]
    assert batch.source["token_type_ids"].any().item() is False
    assert "attention_mask" not in made.collate([long, long]).source  # nothing is padded: no mask
    assert made.collate([short]).source["input_ids"].shape == (1, 8)  # a multiple of 8
    always = processor(tmp_path, name, max_length=29, pad="max_length")
    assert always.collate([short]).source["input_ids"].shape == (1, 29)


# Masking


def masked(folder: Path, count: int = 400, length: int = 100, **options: Any) -> tuple[list[Any], Masking]:
    made: Any = processor(folder, "mlm", max_length=length + 2, **options)
    found = []
    for i in range(count):
        ids = FIRST + np.random.default_rng(i).integers(0, WORDS, length, dtype=np.int32)
        sample = made.assemble(ids)
        before = sample["input_ids"].copy()
        made.masking(sample, np.random.default_rng(1000 + i))
        assert sample["mlm_labels"].tolist() == before[sample["mlm_positions"]].tolist()
        untouched = np.setdiff1d(np.arange(len(before)), sample["mlm_positions"])
        assert (sample["input_ids"][untouched] == before[untouched]).all()
        found.append((before, sample))
    return found, made.masking


@pytest.mark.parametrize("rates", [(0.15, 0.8, 0.1), (0.4, 0.5, 0.5), (0.3, 1.0, 0.0), (0.3, 0.0, 0.0)])
def test_mask_random_and_kept_tokens_have_their_rates(tmp_path: Path, rates: tuple[float, float, float]) -> None:
    rate, replace, random = rates
    found, _ = masked(tmp_path, mask_rate=rate, mask_replace=replace, random_replace=random)
    counts: Counter[str] = Counter()
    for before, sample in found:
        places = sample["mlm_positions"]
        assert len(places) == len(set(places.tolist())) == round(rate * 100)
        for old, new in zip(before[places], sample["input_ids"][places]):
            counts["mask" if new == MASK else "kept" if new == old else "random"] += 1
            assert new == MASK or new not in SPECIAL
    total = sum(counts.values())
    deviation = 4 * math.sqrt(0.25 / total)
    assert counts["mask"] / total == pytest.approx(replace, abs=deviation)
    assert counts["random"] / total == pytest.approx(random, abs=deviation + random / WORDS)
    assert counts["kept"] / total == pytest.approx(1 - replace - random, abs=deviation + random / WORDS)


def test_all_positions_are_chosen_equally_often(tmp_path: Path) -> None:
    found, _ = masked(tmp_path, count=800, length=20)
    counts = Counter(int(p) for _, sample in found for p in sample["mlm_positions"])
    assert set(counts) == set(range(1, 21))
    expected = 800 * 3 / 20
    assert all(abs(n - expected) < 5 * math.sqrt(expected) for n in counts.values())


@pytest.mark.parametrize("options", [{}, {"whole_word": True}, {"span": True}])
def test_special_tokens_are_never_chosen(tmp_path: Path, options: dict[str, bool]) -> None:
    made: Any = processor(tmp_path, "bert", max_length=24, mask_rate=0.9, **options)
    rows = rows_of(tmp_path, made, running_text(CORPUS))
    for i in range(len(rows)):
        sample = draw(made, rows, i)
        assert not SPECIAL & set(sample["mlm_labels"].tolist())
        assert len(sample["mlm_positions"]) == len(set(sample["mlm_positions"].tolist())) <= made.masking.budget
        assert sorted(sample["mlm_positions"]) == sample["mlm_positions"].tolist()
    empty = made.assemble([], [])
    made.masking(empty, np.random.default_rng(0))
    assert len(empty["mlm_positions"]) == 0


def word_of(ids: list[int]) -> list[int]:
    """For each position the number of its word."""
    return list(itertools.accumulate(int(i < TAIL) for i in ids))


def test_whole_words_are_hidden_with_all_their_pieces(tmp_path: Path) -> None:
    made: Any = processor(tmp_path, "mlm", max_length=66, whole_word=True)
    random = np.random.default_rng(0)
    lengths = set()
    for i in range(300):
        words = [f"w{n}" + "abc"[: random.integers(0, 4)] for n in random.integers(0, WORDS, 14 if i % 2 else 3)]
        (ids,) = made.tokenizer.encode_batch([" ".join(words)])
        sample = made.assemble(np.array(ids))
        made.masking(sample, np.random.default_rng(i))
        owners = word_of(ids)
        chosen = {owners[p - 1] for p in sample["mlm_positions"]}
        assert len(sample["mlm_positions"]) == sum(owner in chosen for owner in owners)
        lengths |= {owners.count(word) for word in chosen}
        assert 1 <= len(sample["mlm_positions"]) <= made.masking.budget
    assert lengths == {1, 2, 3, 4}


def test_a_word_longer_than_the_budget_is_cut(tmp_path: Path) -> None:
    made: Any = processor(tmp_path, "mlm", max_length=14, whole_word=True)
    (ids,) = made.tokenizer.encode_batch(["w1abcabcabc"])
    sample = made.assemble(np.array(ids))
    made.masking(sample, np.random.default_rng(0))
    assert sample["mlm_positions"].tolist() == [1, 2]


def test_whole_words_need_a_vocabulary_that_says_where_words_begin(tmp_path: Path) -> None:
    from tests.text.vocabularies import tokenizer_json
    from tp_text.processors.config import MlmProcessorConfig
    from tp_text.tokenizers.config import HuggingFaceConfig

    model = {"type": "WordLevel", "unk_token": "[UNK]", "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "[MASK]": 3}}
    path = tokenizer_json(tmp_path, model=model, decoder=None, post_processor=None)
    built = HuggingFaceConfig(path=str(path)).build(DataContext())
    if built.word_starts() is not None:
        pytest.skip("this vocabulary says where words begin")
    with pytest.raises(TPError, match="does not say where words begin"):
        MlmProcessorConfig(whole_word=True).build(DataContext(), built)


def test_spans_are_contiguous_and_geometric(tmp_path: Path) -> None:
    # One span at a time: a budget of one span's greatest length, and counts of runs of neighbours.
    found, masking = masked(tmp_path, count=3000, length=200, span=True, mask_rate=0.05, span_p=0.4)
    runs: Counter[int] = Counter()
    for _, sample in found:
        places = sample["mlm_positions"]
        assert len(places) == 10 == masking.budget
        breaks = np.flatnonzero(np.diff(places) > 1)
        runs.update(np.diff([-1, *breaks, len(places) - 1]).tolist())
    total = sum(runs.values())
    mean = sum(length * n for length, n in runs.items()) / total
    assert 2.0 < mean < 2.6  # 1 / 0.4 = 2.5, less the cut at the budget, plus spans that touch
    for length in range(1, 4):
        assert runs[length + 1] / runs[length] == pytest.approx(0.6, abs=0.12)


def test_no_span_is_longer_than_the_limit_or_reaches_over_a_special_token(tmp_path: Path) -> None:
    made: Any = processor(tmp_path, "bert", max_length=24, span=True, span_p=0.01, span_max_length=3, mask_rate=0.15)
    first, second = np.arange(FIRST, FIRST + 10), np.arange(FIRST + 20, FIRST + 30)
    for seed in range(200):
        sample = made.assemble(first, second)
        made.masking(sample, np.random.default_rng(seed))
        places = sample["mlm_positions"]
        assert len(places) == 3
        gaps = np.diff(places)
        assert not (((places[:-1] == 10) & (places[1:] == 12)) & (gaps == 2)).any() or (gaps > 1).sum() >= 1


def test_masked_labels_have_a_static_shape(tmp_path: Path) -> None:
    made = processor(tmp_path, "bert", max_length=40)
    rows = rows_of(tmp_path, made, running_text(CORPUS))
    shapes = set()
    for i in range(len(rows)):
        sample = draw(made, rows, i)
        labels = made.collate([sample]).labels["mlm"]
        shapes.add((tuple(labels["labels"].shape), tuple(labels["positions"].shape)))
        count = len(sample["mlm_positions"])
        assert labels["labels"][0, :count].tolist() == sample["mlm_labels"].tolist()
        assert labels["positions"][0, :count].tolist() == sample["mlm_positions"].tolist()
        assert set(labels["labels"][0, count:].tolist()) <= {IGNORE}
    assert shapes == {((1, 6), (1, 6))}


# Language models


@pytest.mark.parametrize("max_length", [5, 8, 31])
def test_lm_rows_hold_every_token_of_the_corpus_in_order(tmp_path: Path, max_length: int) -> None:
    made = processor(tmp_path, "lm", max_length=max_length)
    rows = rows_of(tmp_path, made, LINES)
    found = [int(i) for n in range(len(rows)) for i in rows.get("tokens", n)]
    wanted = [i for document in CORPUS for i in [*(n for line in document for n in numbers(line)), EOS]]
    assert found == wanted[: len(found)]
    assert len(wanted) - len(found) == (len(wanted) % (max_length + 1) == 1)  # one token alone predicts nothing
    assert {len(rows.get("tokens", n)) for n in range(len(rows) - 1)} == {max_length + 1}


def test_lm_labels_are_the_next_tokens_and_padding_has_none(tmp_path: Path) -> None:
    made = processor(tmp_path, "lm", max_length=8)
    rows = rows_of(tmp_path, made, records(["w0 w1 w2 w3 w4 w5 w6 w7 w8 w9"]))
    batch = made.collate([draw(made, rows, i) for i in range(len(rows))])
    ids, labels = batch.source["input_ids"], batch.labels["lm"]["labels"]
    assert ids.tolist() == [[FIRST + i for i in range(8)], [FIRST + 9, *[PAD] * 7]]
    assert labels.tolist() == [[FIRST + i for i in range(1, 9)], [EOS, *[IGNORE] * 7]]
    assert list(batch.source) == ["input_ids"]  # causal attention never looks at padding on the right


def test_isolated_documents_have_ids_and_positions_of_their_own(tmp_path: Path) -> None:
    made = processor(tmp_path, "lm", max_length=9, isolate_documents=True)
    rows = rows_of(tmp_path, made, records(["w0 w1 w2", "w3", "w4 w5 w6 w7"]))
    source = made.collate([draw(made, rows, 0)]).source
    assert source["input_ids"][0].tolist() == [6, 7, 8, EOS, 9, EOS, 10, 11, 12]
    assert source["document_ids"][0].tolist() == [0, 0, 0, 0, 1, 1, 2, 2, 2]
    assert source["position_ids"][0].tolist() == [0, 1, 2, 3, 0, 1, 0, 1, 2]


def test_lm_inference_keeps_the_end_of_a_long_text_and_masks_padding(tmp_path: Path) -> None:
    made = processor(tmp_path, "lm", max_length=5)
    samples = made.encode(records(["w0 w1 w2 w3 w4 w5 w6", "w9", ""]))
    batch = made.collate(samples)
    assert batch.source["input_ids"].tolist() == [[8, 9, 10, 11, 12], [15, *[PAD] * 4], [EOS, *[PAD] * 4]]
    assert batch.source["attention_mask"].sum(1).tolist() == [5, 1, 1]


@pytest.mark.parametrize("pack", [True, False])
def test_mlm_rows_hold_every_token_of_the_corpus_in_order(tmp_path: Path, pack: bool) -> None:
    made = processor(tmp_path, "mlm", max_length=17, pack=pack)
    rows = rows_of(tmp_path, made, LINES)
    each = [[int(i) for i in rows.get("tokens", n)] for n in range(len(rows))]
    assert [i for row in each for i in row if i != SEP] == ALL
    if pack:
        assert {len(row) for row in each[:-1]} == {15}
    else:
        ends = set(itertools.accumulate(sum(len(numbers(line)) for line in document) for document in CORPUS))
        for start, row in zip(itertools.accumulate([0, *map(len, each)]), each):
            assert not any(start < end < start + len(row) for end in ends)
            assert SEP not in row


# Pairs of segments


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


def test_half_of_the_pairs_follow_where_rows_have_several_sentences(tmp_path: Path) -> None:
    given, _ = distinct(count=10, sentences=4, words=5)
    made = processor(tmp_path, "bert", max_length=64, short_rate=0.0)
    rows = rows_of(tmp_path, made, running_text(given))
    drawn = [draw(made, rows, i, epoch)["sp"] for epoch in range(100) for i in range(len(rows))]
    assert np.mean(drawn) == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(len(drawn)))


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


# Classification


def classes(folder: Path, **options: Any) -> Any:
    return processor(folder, "cls", DataContext(target_options={"cls": {"num_labels": 3}}), **options)


def test_cls_samples_are_texts_or_pairs_with_their_label(tmp_path: Path) -> None:
    made = classes(tmp_path, max_length=10)
    given = records(
        [
            {"text_a": "w1 w2", "label": "2"},
            {"text": "w1", "label": 0},
            {"text_a": "w1", "text_b": "w2 w3", "label": " 1 "},
        ]
    )
    rows = rows_of(tmp_path, made, given)
    samples = [draw(made, rows, i) for i in range(3)]
    assert [s["input_ids"].tolist() for s in samples] == [
        [CLS, 7, 8, SEP],
        [CLS, 7, SEP],
        [CLS, 7, SEP, 8, 9, SEP],
    ]
    assert samples[2]["token_type_ids"].tolist() == [0, 0, 0, 1, 1, 1]
    assert made.collate(samples).labels["cls"]["labels"].tolist() == [2, 0, 1]
    assert made.collate(made.encode(given)).labels["cls"]["labels"].tolist() == [IGNORE] * 3


def test_cls_labels_by_name(tmp_path: Path) -> None:
    made = classes(tmp_path, labels=["bad", "fair", "good"])
    rows = rows_of(tmp_path, made, records([{"text": "w1", "label": "good"}, {"text": "w2", "label": "bad"}]))
    assert [rows.get("label", i) for i in range(2)] == [2, 0]
    assert made.describe([{"label": 1, "probabilities": []}]) == [{"label": "fair", "probabilities": []}]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"text": "w1"}, "no field 'label'; the fields are text"),
        ({"text": "w1", "label": "x"}, "the label 'x' is no number; expected an integer from 0 to 2"),
        ({"text": "w1", "label": 3}, "the label 3 is out of range; expected an integer from 0 to 2"),
        ({"text": "w1", "label": -1}, "the label -1 is out of range"),
        ({"text_a": " ", "label": 1}, "the text is empty"),
        ({"label": 1}, "no field 'text_a' or 'text'"),
    ],
)
def test_a_bad_record_of_cls_is_reported_with_its_line_and_the_others_are_kept(
    tmp_path: Path, value: dict[str, Any], message: str
) -> None:
    reported: list[DataError] = []
    given = records([{"text": "w1", "label": 1}, value, {"text": "w2", "label": 2}])
    (columns,) = classes(tmp_path).prepare(iter(given), reported.append)
    assert columns["label"] == [1, 2]
    (error,) = reported
    assert str(error).startswith(f"corpus.txt:2: {message}")


@pytest.mark.parametrize("room", [1, 2, 5, 8, 9])
def test_pairs_are_cut_from_the_longer_side_to_the_room_there_is(room: int) -> None:
    for a, b in itertools.product(range(12), range(12)):
        first, second = fit(list(range(a)), list(range(b)), room)
        left, right = len(first), len(second or [])
        assert left + right == min(a + b, room)
        assert first == list(range(left))
        assert (second or []) == list(range(right))
        assert second is None if b == 0 else second is not None
        # As cutting the longer side token by token would: what is left differs by one at most, if both were cut.
        if left < a and right < b:
            assert abs(left - right) <= 1


def test_cls_pairs_never_exceed_max_length(tmp_path: Path) -> None:
    made = classes(tmp_path, max_length=9)
    texts = [" ".join(["w1"] * n) for n in (1, 3, 6, 20)]
    given = records([{"text_a": a, "text_b": b, "label": 1} for a in texts for b in ["", *texts]])
    rows = rows_of(tmp_path, made, given)
    lengths = [len(draw(made, rows, i)["input_ids"]) for i in range(len(rows))]
    assert max(lengths) == 9
    assert [len(s["input_ids"]) for s in made.encode(given)] == lengths


def test_mask_tokens_written_in_a_text_are_predicted(tmp_path: Path) -> None:
    made = processor(tmp_path, "mlm", max_length=12)
    batch = made.collate(made.encode(records(["w1 [MASK] w2 [MASK]", "w3"])))
    assert batch.source["input_ids"][0, :6].tolist() == [CLS, 7, MASK, 8, MASK, SEP]
    assert batch.labels["mlm"]["positions"].tolist() == [[2, 4], [-1, -1]]
    assert torch.equal(batch.labels["mlm"]["labels"], torch.full((2, 2), IGNORE))
    assert SIZE == made.tokenizer.vocab_size  # type: ignore[attr-defined]
