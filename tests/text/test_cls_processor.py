"""Texts and pairs of texts with a class label."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.contexts import targets
from tests.text.corpora import (
    CLS,
    SEP,
    draw,
    processor,
    records,
    rows_of,
)
from tp_core.errors import DataError
from tp_core.interfaces import IGNORE
from tp_core.options.context import DataContext
from tp_text.processors.text import fit


def classes(folder: Path, **options: Any) -> Any:
    return processor(folder, "cls", DataContext(targets=targets(cls={"num_labels": 3})), **options)


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
    encoded = made.encode(given)
    assert made.collate(encoded).labels["cls"]["labels"].tolist() == [IGNORE] * 3
    for sample, alike in zip(samples, encoded, strict=True):
        for name in ("input_ids", "token_type_ids"):
            assert np.array_equal(sample[name], alike[name])
            assert sample[name].dtype == alike[name].dtype


def test_cls_labels_by_name(tmp_path: Path) -> None:
    made = classes(tmp_path, labels=["bad", "fair", "good"])
    rows = rows_of(tmp_path, made, records([{"text": "w1", "label": "good"}, {"text": "w2", "label": "bad"}]))
    assert [rows.get("label", i) for i in range(2)] == [2, 0]
    expected = {"label": "fair", "probabilities": {"bad": 0.2, "fair": 0.7, "good": 0.1}}
    prediction = {"label": 1, "probabilities": [0.2, 0.7, 0.1]}
    assert made.describe([prediction]) == [expected]
    several = {"cls": prediction, "sp": {"label": 1, "probabilities": [0.5, 0.5]}}
    assert made.describe([several]) == [{**several, "cls": expected}]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"text": "w1"}, "no field 'label'; the fields are text"),
        ({"text": "w1", "label": "x"}, "the label 'x' is no integer; expected an integer from 0 to 2"),
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
