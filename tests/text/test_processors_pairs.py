"""Classified texts with masked tokens, and pairs of texts for two streams."""

from __future__ import annotations

import itertools
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.contexts import targets
from tests.text.corpora import (
    CLS,
    CORPUS,
    PAD,
    SEP,
    draw,
    numbers,
    original,
    processor,
    records,
    rows_of,
    running_text,
)
from tp_core.errors import DataError, TPError
from tp_core.interfaces import IGNORE
from tp_core.options.context import BuildContext, DataContext
from tp_text.processors.pair_options import PairProcessorConfig

THREE = DataContext(streams=("anchor", "positive", "negative"))
STREAMS = DataContext(streams=("left", "right"), targets=targets(cls={"num_labels": 3}))


def pair(folder: Path, **options: Any) -> Any:
    return processor(folder, "pair", STREAMS, **options)


def test_classified_texts_are_masked_anew_at_each_visit_and_keep_their_label(tmp_path: Path) -> None:
    made: Any = processor(tmp_path, "cls_mlm", max_length=40, mask_rate=0.3)
    given = [{"text_a": document[0], "text_b": document[-1], "label": n % 2} for n, document in enumerate(CORPUS)]
    rows = rows_of(tmp_path, made, records(given))
    plain = processor(tmp_path, "cls", max_length=40)
    visits = set()
    for index in range(len(rows)):
        sample = draw(made, rows, index)
        assert original(sample) == draw(plain, rows, index)["input_ids"].tolist()
        visits.add(len({tuple(draw(made, rows, index, epoch)["mlm_positions"].tolist()) for epoch in range(4)}))
    assert max(visits) == 4
    batch = made.collate([draw(made, rows, n) for n in range(4)])
    assert batch.labels["cls"]["labels"].tolist() == [0, 1, 0, 1]
    assert (batch.labels["mlm"]["labels"] != IGNORE).any(1).all()
    inference = made.collate(made.encode(records([{"text": "w1 [MASK]"}])))
    assert inference.labels["mlm"]["positions"].tolist() == [[2]]
    assert inference.labels["cls"]["labels"].tolist() == [IGNORE]


def test_each_stream_reads_its_text(tmp_path: Path) -> None:
    made = pair(tmp_path, max_length=6)
    given = records([{"text_a": "w1", "text_b": "w2 w3 w4 w5 w6 w7"}, {"text": "w8 w9", "text_b": "w10"}])
    rows = rows_of(tmp_path, made, given)
    batch = made.collate([draw(made, rows, n) for n in range(2)])
    assert list(batch.source) == ["left", "right"]
    left, right = batch.source["left"], batch.source["right"]
    assert left["input_ids"].tolist() == [[CLS, 7, SEP, PAD, PAD, PAD], [CLS, 14, 15, SEP, PAD, PAD]]
    assert right["input_ids"].tolist() == [[CLS, 8, 9, 10, 11, SEP], [CLS, 16, SEP, PAD, PAD, PAD]]
    assert left["attention_mask"].sum(1).tolist() == [3, 4]
    assert not right["token_type_ids"].any()
    assert list(batch.labels) == ["clr"]
    assert batch.labels["clr"]["labels"].tolist() == [1, 1]


@pytest.mark.parametrize("labelled", ["none", "class"])
def test_texts_that_the_streams_read_alike_have_one_identity(tmp_path: Path, labelled: str) -> None:
    made = pair(tmp_path, max_length=6, labelled=labelled)
    long = "w1 w2 w3 w4"
    given = [("w1", "w2"), ("w1", "w3"), ("w2", "w1"), (long, "w2"), (f"{long} w5", f"{long} w6"), ("w1", "w2")]
    rows = rows_of(tmp_path, made, records([{"text_a": a, "text_b": b, "label": 0} for a, b in given]))
    first, second = made.collate([draw(made, rows, n) for n in range(6)]).labels["clr"]["items"].T.tolist()
    assert [first.index(each) for each in first] == [0, 0, 2, 3, 3, 0]
    assert [second.index(each) for each in second] == [0, 1, 2, 0, 4, 0]
    assert second[2] == first[0]  # a text has the same identity on either side
    assert "items" not in made.collate(made.encode(records(["w1"]))).labels["clr"]


def test_labelled_pairs_carry_their_class(tmp_path: Path) -> None:
    made = pair(tmp_path, labelled="class", labels=["no", "maybe", "yes"])
    given = [{"text_a": "w1", "text_b": "w2", "label": label} for label in ("yes", "no")]
    rows = rows_of(tmp_path, made, records(given))
    batch = made.collate([draw(made, rows, n) for n in range(2)])
    assert batch.labels["cls"]["labels"].tolist() == [2, 0]
    predictions = [{"label": 1, "probabilities": [0.1, 0.8, 0.1]}]
    expected = {"label": "maybe", "probabilities": {"no": 0.1, "maybe": 0.8, "yes": 0.1}}
    assert made.describe(predictions) == [expected]


def test_next_pairs_are_the_consecutive_lines_of_each_document(tmp_path: Path) -> None:
    made = pair(tmp_path, pairing="next", max_length=64)
    rows = rows_of(tmp_path, made, running_text(CORPUS))
    found = [(rows.get("first", n).tolist(), rows.get("second", n).tolist()) for n in range(len(rows))]
    assert found == [(numbers(a), numbers(b)) for document in CORPUS for a, b in itertools.pairwise(document)]
    two_files = [*records(["w1", "w2"], "a.txt"), *records(["w3", "w4"], "b.txt")]
    rows = rows_of(tmp_path, made, two_files)
    assert [rows.get("first", n).tolist() for n in range(len(rows))] == [[7], [9]]


def test_the_same_text_stands_in_both_streams(tmp_path: Path) -> None:
    made = pair(tmp_path, pairing="same", max_length=8)
    rows = rows_of(tmp_path, made, records(["w1 w2", "", " ".join(["w3"] * 20)]))
    batch = made.collate([draw(made, rows, n) for n in range(len(rows))])
    assert batch.source["left"]["input_ids"].tolist() == batch.source["right"]["input_ids"].tolist()
    assert batch.source["left"]["input_ids"].tolist() == [[CLS, 7, 8, SEP, *[PAD] * 4], [CLS, *[9] * 6, SEP]]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"text_a": "w1"}, "no field 'text_b'; the fields are text_a"),
        ({"text_b": "w1"}, "no field 'text_a' or 'text'; the fields are text_b"),
        ({"text_a": "w1", "text_b": " "}, "'text_b' is empty"),
        ({"text_a": "w1", "text_b": "w2"}, "no field 'label'"),
        ({"text_a": "w1", "text_b": "w2", "label": 7}, "the label 7 is out of range; expected an integer from 0 to 2"),
    ],
)
def test_a_bad_pair_is_reported_and_the_others_are_kept(tmp_path: Path, value: Any, message: str) -> None:
    made = pair(tmp_path, labelled="class")
    reported: list[DataError] = []
    right = {"text_a": "w1", "text_b": "w2", "label": 1}
    (columns,) = made.prepare(iter(records([right, value, right])), reported.append)
    assert columns["label"] == [1, 1]
    (error,) = reported
    assert str(error).startswith(f"corpus.txt:2: {message}")


def test_at_inference_single_texts_feed_the_stream_of_their_side_alone(tmp_path: Path) -> None:
    made = pair(tmp_path, max_length=8)
    batch = made.collate(made.encode(records(["w1", "w2 w3"])))
    assert list(batch.source) == ["left"]
    both = made.collate(made.encode(records([{"text_a": "w1", "text_b": "w2"}])))
    assert list(both.source) == ["left", "right"]
    second = made.collate(made.encode(records([{"text_b": "w2"}])))
    assert list(second.source) == ["right"]
    assert second.source["right"]["input_ids"].equal(both.source["right"]["input_ids"])
    with pytest.raises(DataError, match=r"corpus\.txt:2: no field 'text_b', which other records have"):
        made.encode(records([{"text_a": "w1", "text_b": "w2"}, {"text_a": "w1"}]))
    with pytest.raises(DataError, match=r"corpus\.txt:2: no field 'text_a' or 'text', which other records have"):
        made.encode(records([{"text_a": "w1", "text_b": "w2"}, {"text_b": "w1"}]))
    with pytest.raises(DataError, match=r"corpus\.txt:1: no field 'text_a', 'text' or 'text_b'; the fields are other"):
        made.encode(records([{"other": "w1"}]))


@pytest.mark.parametrize("streams", [(), ("one",), ("a", "b", "c", "d")])
def test_pairs_need_two_or_three_streams(tmp_path: Path, streams: tuple[str, ...]) -> None:
    data = DataContext(streams=streams)
    with pytest.raises(TPError, match="needs a model of two or three streams"):
        processor(tmp_path, "pair", data)
    (problem,) = PairProcessorConfig().check_targets(data)
    assert "feeds two streams (model.streams), or three with negatives" in problem.message


# -- similarities ----------------------------------------------------------------------------------------------------


def rated(labels: list[Any]) -> list[dict[str, Any]]:
    return [{"text_a": "w1", "text_b": "w2 w3", "label": label} for label in labels]


def test_similarities_are_numbers_that_are_scaled_by_their_range(tmp_path: Path) -> None:
    made = pair(tmp_path, labelled="similarity", label_range=[-1, 5])
    given = [5, "2.0", " -1 ", 0.5, "5e-1", Decimal("3.5")]
    rows = rows_of(tmp_path, made, records(rated(given)))
    batch = made.collate([draw(made, rows, n) for n in range(6)])
    assert list(batch.labels) == ["clr", "similarity"]
    assert batch.labels["similarity"]["labels"].tolist() == pytest.approx([1.0, 0.5, 0.0, 0.25, 0.25, 0.75])
    assert batch.labels["similarity"]["labels"].dtype == torch.float32
    plain = pair(tmp_path, labelled="similarity")
    rows = rows_of(tmp_path, plain, records(rated([0.25, -1])))
    assert [draw(plain, rows, n)["label"] for n in range(2)] == [0.25, -1.0]
    assert "similarity" not in plain.collate(plain.encode(records(rated([1])))).labels


BAD_NUMBERS = ["n/a", "", "nan", "inf", float("nan"), float("-inf"), True, [1], "1_0", "1,5", "٣", 10**400]


@pytest.mark.parametrize("label", BAD_NUMBERS)
def test_a_similarity_that_is_no_finite_number_is_reported_with_its_place(tmp_path: Path, label: Any) -> None:
    made = pair(tmp_path, labelled="similarity", label_range=[0, 5])
    reported: list[DataError] = []
    (columns,) = made.prepare(iter(records(rated([1, label, 2]))), reported.append)
    assert columns["label"] == [0.2, 0.4]
    (error,) = reported
    assert str(error).startswith("corpus.txt:2: expected a finite number in 'label', got ")


def test_a_similarity_out_of_range_is_reported_with_the_range(tmp_path: Path) -> None:
    def message(label: float, data: DataContext = STREAMS, **options: Any) -> str:
        reported: list[DataError] = []
        made = processor(tmp_path, "pair", data, labelled="similarity", **options)
        list(made.prepare(iter(records(rated([label]))), reported.append))
        return str(reported[0]) if reported else ""

    assert message(5.5, label_range=[0, 5]) == "corpus.txt:1: the label 5.5 is out of range: label_range is 0 to 5"
    cosine = STREAMS._replace(targets=targets(similarity={"by": "cosine"}))
    assert message(3.8, cosine) == (
        "corpus.txt:1: the label 3.8 is out of range: the cosine is between -1 and 1; "
        "label_range: [LOWEST, HIGHEST] of the processor scales labels"
    )
    assert message(3.8, cosine, label_range=[0, 5]) == message(-0.5, cosine) == ""
    assert "exp_l1 is between 0 and 1" in message(-0.5, STREAMS._replace(targets=targets(similarity={"by": "exp_l1"})))
    assert message(-50, STREAMS._replace(targets=targets(similarity={"by": "dot"}))) == ""


def test_a_pair_without_a_similarity_is_reported(tmp_path: Path) -> None:
    reported: list[DataError] = []
    made = pair(tmp_path, labelled="similarity")
    list(made.prepare(iter(records([{"text_a": "w1", "text_b": "w2"}])), reported.append))
    assert str(reported[0]).startswith("corpus.txt:1: no field 'label'; the fields are text_a, text_b")


def test_predicted_similarities_are_also_given_in_the_units_of_the_labels(tmp_path: Path) -> None:
    one = DataContext(streams=("a", "b"), targets=targets(similarity={}))
    two = DataContext(streams=("a", "b"), targets=targets(similarity={}, clr={}))
    made = processor(tmp_path, "pair", one, labelled="similarity", label_range=[0, 5])
    assert made.describe([{"similarity": 0.5}]) == [{"similarity": 0.5, "label": 2.5}]
    both = processor(tmp_path, "pair", two, labelled="similarity", label_range=[1, 3])
    found = both.describe([{"similarity": {"similarity": 0.5}, "clr": {"similarity": 0.1}}])
    assert found == [{"similarity": {"similarity": 0.5, "label": 2.0}, "clr": {"similarity": 0.1}}]
    assert pair(tmp_path, labelled="similarity").describe([{"similarity": 0.5}]) == [{"similarity": 0.5}]


@pytest.mark.parametrize(
    ("options", "option", "message"),
    [
        ({"label_range": [0, 5]}, "label_range", "set labelled: similarity"),
        ({"label_range": [5, 0], "labelled": "similarity"}, "label_range", "lowest and the highest label, got 5 and 0"),
        ({"labels": ["a", "b"], "labelled": "similarity"}, "labels", "set labelled: class"),
        ({"labelled": "similarity", "pairing": "same"}, "labelled", "they require pairing: fields"),
    ],
)
def test_options_of_labels_that_do_not_fit_are_problems(options: dict[str, Any], option: str, message: str) -> None:
    (problem,) = PairProcessorConfig(**options).check(BuildContext())
    assert problem.option == option
    assert message in problem.message


def test_labels_of_each_target_are_left_to_classes() -> None:
    context = BuildContext(labels={"topic": "column"})
    assert {port.name for port in PairProcessorConfig().provides(context) if port.kind == "labels"} == {"clr"}
    labelled = PairProcessorConfig(labelled="class").provides(context)
    assert {port.of for port in labelled if port.name == "cls"} == {"topic"}


# -- triplets --------------------------------------------------------------------------------------------------------


def test_the_third_stream_reads_the_negative(tmp_path: Path) -> None:
    made = processor(tmp_path, "pair", THREE, max_length=6)
    given = [
        {"text_a": "w1", "text_b": "w2", "negative": "w3 w4"},
        {"text_a": "w1", "text_b": "w2", "negative": ["w3", "w1"]},
    ]
    rows = rows_of(tmp_path, made, records(given))
    assert len(rows) == 3  # a triplet for each negative
    batch = made.collate([draw(made, rows, n) for n in range(3)])
    assert list(batch.source) == list(THREE.streams)
    assert batch.source["negative"]["input_ids"].tolist() == [
        [CLS, 9, 10, SEP, PAD, PAD],
        [CLS, 9, SEP, PAD, PAD, PAD],
        [CLS, 7, SEP, PAD, PAD, PAD],
    ]
    items = batch.labels["clr"]["items"].tolist()
    assert [len({row[n] for row in items}) for n in range(3)] == [1, 1, 3]
    assert items[2][2] == items[0][0]
    two = made.collate(made.encode(records([{"text_a": "w1", "text_b": "w2"}])))
    assert list(two.source) == ["anchor", "positive"]
    three = made.collate(made.encode(records([{"text_a": "w1", "text_b": "w2", "negative": "w3"}])))
    assert list(three.source) == list(THREE.streams)
    plain = pair(tmp_path)  # a model of two streams reads two texts of the same records
    assert list(plain.collate(plain.encode(records(given))).source) == ["left", "right"]


@pytest.mark.parametrize(
    ("negative", "message"),
    [
        (..., "no field 'negative'; the fields are text_a, text_b"),
        (None, "no field 'negative'"),
        ("  ", "'negative' is empty"),
        ([], "'negative' is empty"),
        (["w1", ""], "'negative' is empty"),
        (["w1", ["w2"]], "expected a text in 'negative', got a list"),
    ],
)
def test_a_triplet_without_a_negative_is_reported(tmp_path: Path, negative: Any, message: str) -> None:
    made = processor(tmp_path, "pair", THREE)
    value = {"text_a": "w1", "text_b": "w2", **({} if negative is ... else {"negative": negative})}
    reported: list[DataError] = []
    assert not list(made.prepare(iter(records([value])), reported.append))
    assert str(reported[0]).startswith(f"corpus.txt:1: {message}")


@pytest.mark.parametrize(("options", "option"), [({"pairing": "same"}, "pairing"), ({"labelled": "class"}, "labelled")])
def test_triplets_are_fields_without_labels(options: dict[str, Any], option: str) -> None:
    (problem,) = PairProcessorConfig(**options).check_targets(THREE)
    assert problem.option == option
