"""Tests of the rules that all text processors keep to, and of the packed rows of language models."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.text.corpora import (
    ALL,
    CLS,
    CORPUS,
    EOS,
    FIRST,
    LINES,
    MASK,
    PAD,
    SEP,
    SPECIAL,
    draw,
    numbers,
    original,
    processor,
    records,
    rows_of,
    running_text,
)
from tp_core.errors import DataError
from tp_core.interfaces import IGNORE


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
    assert batch.inputs["input_ids"].shape[1] <= max_length


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
    assert batch.inputs["input_ids"].shape == (2, 29)
    mask = batch.inputs["attention_mask"]
    assert mask.sum(1).tolist() == [4, 29]
    assert batch.inputs["input_ids"][0].tolist() == [CLS, FIRST + 1, FIRST + 2, SEP, *[PAD] * 25]
    assert batch.inputs["token_type_ids"].any().item() is False
    assert "attention_mask" not in made.collate([long, long]).inputs  # nothing is padded: no mask
    assert made.collate([short]).inputs["input_ids"].shape == (1, 4)  # nor is a text by itself
    other = made.encode(records(["w1"]))[0]
    assert made.collate([short, other]).inputs["input_ids"].shape == (2, 8)  # a multiple of 8
    always = processor(tmp_path, name, max_length=29, pad="max_length")
    assert always.collate([short]).inputs["input_ids"].shape == (1, 29)


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
    ids, labels = batch.inputs["input_ids"], batch.labels["lm"]["labels"]
    assert ids.tolist() == [[FIRST + i for i in range(8)], [FIRST + 9, *[PAD] * 7]]
    assert labels.tolist() == [[FIRST + i for i in range(1, 9)], [EOS, *[IGNORE] * 7]]
    assert list(batch.inputs) == ["input_ids", "lengths"]  # causal attention never looks at padding on the right
    assert batch.inputs["lengths"].tolist() == [8, 1]


def test_isolated_documents_have_ids_and_positions_of_their_own(tmp_path: Path) -> None:
    made = processor(tmp_path, "lm", max_length=9, isolate_documents=True)
    rows = rows_of(tmp_path, made, records(["w0 w1 w2", "w3", "w4 w5 w6 w7"]))
    source = made.collate([draw(made, rows, 0)]).inputs
    assert source["input_ids"][0].tolist() == [6, 7, 8, EOS, 9, EOS, 10, 11, 12]
    assert source["document_ids"][0].tolist() == [0, 0, 0, 0, 1, 1, 2, 2, 2]
    assert source["position_ids"][0].tolist() == [0, 1, 2, 3, 0, 1, 0, 1, 2]


def test_lm_inference_keeps_the_end_of_a_long_text_and_masks_padding(tmp_path: Path) -> None:
    made = processor(tmp_path, "lm", max_length=5)
    samples = made.encode(records(["w0 w1 w2 w3 w4 w5 w6", "w9", ""]))
    batch = made.collate(samples)
    assert batch.inputs["input_ids"].tolist() == [[8, 9, 10, 11, 12], [15, *[PAD] * 4], [EOS, *[PAD] * 4]]
    assert batch.inputs["attention_mask"].sum(1).tolist() == [5, 1, 1]


def test_lm_keeps_the_beginning_of_a_long_text_where_its_right_side_is_cut(tmp_path: Path) -> None:
    made = processor(tmp_path, "lm", max_length=5, truncation_side="right")
    batch = made.collate(made.encode(records(["w0 w1 w2 w3 w4 w5 w6", "w9"])))
    assert batch.inputs["input_ids"].tolist() == [[6, 7, 8, 9, 10], [15, *[PAD] * 4]]


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


def test_mask_tokens_written_in_a_text_are_predicted(tmp_path: Path) -> None:
    made = processor(tmp_path, "mlm", max_length=12)
    batch = made.collate(made.encode(records(["w1 [MASK] w2 [MASK]", "w3"])))
    assert batch.inputs["input_ids"][0, :6].tolist() == [CLS, 7, MASK, 8, MASK, SEP]
    assert batch.labels["mlm"]["positions"].tolist() == [[2, 4], [-1, -1]]
    assert torch.equal(batch.labels["mlm"]["labels"], torch.full((2, 2), IGNORE))


def test_a_predicted_id_beyond_the_tokenizers_vocabulary_stands_for_no_token(tmp_path: Path) -> None:
    made = processor(tmp_path, "lm", max_length=12)
    found = made.describe([{"next": [{"id": 7, "probability": 0.5}, {"id": 50256, "probability": 0.25}]}])
    assert found == [{"next": [{"token": "w1", "probability": 0.5}, {"token": None, "probability": 0.25}]}]
