"""Numbers of records as labels: what is a number, several outputs, missing labels, names, and what does not fit."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import torch

from tests.contexts import targets
from tp_core import BuildContext, DataContext
from tp_core.data.numbers.options import NumberLabelOptions
from tp_core.data.numbers.reader import Numbers
from tp_core.errors import DataError
from tp_core.interfaces import Record


def reader(count: int = 1, *fields: str, missing: bool = False) -> Numbers:
    return Numbers(fields or ["label"], count, None, missing)


def read(value: Any, count: int = 1, missing: bool = False) -> list[float]:
    found: list[float] = reader(count, missing=missing).read(Record({"label": value}, "a.tsv", 2)).tolist()
    return found


def refused(value: Any, count: int = 1, missing: bool = False) -> str:
    with pytest.raises(DataError) as caught:
        read(value, count, missing)
    return str(caught.value).removeprefix("a.tsv:2: ")


@pytest.mark.parametrize(
    "value",
    [2.5, "2.5", " 2.5\t", "+2.5", "25e-1", "2.50", ".25E1", np.float32(2.5), Decimal("2.5"), [2.5], ("2.5",)],
)
def test_a_number_is_one_however_a_table_writes_it(value: Any) -> None:
    assert read(value) == [2.5]
    assert read(-3) == [-3.0]
    assert read("7.") == [7.0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("n/a", "the label is 'n/a'; expected a number; if there is none, leave the field empty and set allow_missing"),
        ("NaN", "the label is 'NaN'; expected a number; if there is none, leave the field empty and set allow_missing"),
        ("inf", "the label is 'inf'; expected a number that is finite"),
        ("-Infinity", "the label is '-Infinity'; expected a number that is finite"),
        (math.inf, "the label is inf; expected a finite number"),
        (math.nan, "the label is nan; expected a finite number"),
        (10**400, "the label is inf; expected a finite number"),
        ("1e39", "the label is 1e+39, which is larger than float32 can represent"),
        (-3.5e38, "the label is -3.5e+38, which is larger than float32 can represent"),
        ("3,5", "the label is '3,5'; expected a number; decimals are written with a point"),
        ("1_0", "the label is '1_0'; expected a number"),
        ("\u0661", "the label is '\u0661'; expected a number"),
        ("0x1", "the label is '0x1'; expected a number"),
        ("1 2", "the label is '1 2'; expected a number"),
        (True, "the label is true; expected a number"),
        (np.bool_(False), "the label is false; expected a number"),
        ("", "the label is empty; expected a number; allow_missing: true allows records without labels"),
        ({"a": 1}, "the label is a mapping; expected a number"),
        ([[1.0]], "the label is a list; expected a number"),
        (b"1", "the label is bytes; expected a number"),
        ([1, 2], "the label has 2 values; expected one number"),
        ([], "the label has 0 values; expected one number"),
    ],
)
def test_what_is_no_finite_number_is_said_to_be_none(value: Any, message: str) -> None:
    assert refused(value).startswith(message)


def test_a_missing_field_is_named_with_the_option_that_allows_it() -> None:
    with pytest.raises(DataError) as caught:
        reader().read(Record({"text": "w1"}, "a.tsv", 2))
    assert str(caught.value).startswith("a.tsv:2: no field 'label'; the fields are text")
    assert "allow_missing: true allows records without labels" in str(caught.value)
    assert "no field 'label'" in refused(None)


def test_several_outputs_are_a_list_or_a_field_each() -> None:
    assert read([1, "2.5", 3], 3) == [1.0, 2.5, 3.0]
    assert read(np.array([1.5, 2.5]), 2) == [1.5, 2.5]
    fields = reader(2, "valence", "arousal")
    assert fields.read(Record({"arousal": "2", "valence": 1}, "a.csv", 2)).tolist() == [1.0, 2.0]
    several = ", as a list or in a field each (option fields)"
    assert refused([1.0], 2) == f"the label has one value; expected 2 numbers{several}"
    assert refused("0.5,1.5", 2) == f"the label has one value; expected 2 numbers{several}"
    assert refused([1, "n/a"], 2).startswith("the label is 'n/a'; expected a number")
    with pytest.raises(DataError, match=r"a\.csv:2: 'arousal' is 'high'; expected a number"):
        fields.read(Record({"arousal": "high", "valence": 1}, "a.csv", 2))
    with pytest.raises(DataError, match=r"a\.csv:2: no field 'arousal'; the fields are valence"):
        fields.read(Record({"valence": 1}, "a.csv", 2))


@pytest.mark.parametrize("empty", [None, "", " "])
def test_missing_labels_are_no_labels_if_that_is_allowed(empty: Any) -> None:
    assert np.isnan(read(empty, missing=True)).all()
    assert np.isnan(read(empty, 2, missing=True)).tolist() == [True, True]
    assert np.isnan(read([1.0, empty], 2, missing=True)).tolist() == [False, True]
    fields = reader(2, "valence", "arousal", missing=True)
    assert np.isnan(fields.read(Record({"valence": empty, "arousal": 1}, "a", 1))).tolist() == [True, False]
    assert np.isnan(fields.read(Record({"arousal": 1}, "a", 1))).tolist() == [True, False]
    assert refused("n/a", missing=True).startswith("the label is 'n/a'; expected a number")
    assert refused([1.0], 2, missing=True).startswith("the label has one value")


def test_a_batch_has_nan_for_samples_without_labels() -> None:
    made = reader(2)
    found = made.batch([np.array([1, 2], np.float32), None])
    assert found.dtype == torch.float32
    assert found[0].tolist() == [1.0, 2.0]
    assert found[1].isnan().all()


def test_predictions_of_several_outputs_have_their_names() -> None:
    made = Numbers(["label"], 2, ["valence", "arousal"], False)
    one = {"values": [0.5, 1.5]}
    assert made.named([one]) == [{"values": {"valence": 0.5, "arousal": 1.5}}]
    several = {"mood": one, "other": {"values": [1.0]}}
    assert made.named([several]) == [{**several, "mood": {"values": {"valence": 0.5, "arousal": 1.5}}}]
    assert reader(2).named([one]) == [one]


# -- options ---------------------------------------------------------------------------------------------------------


def data_of(outputs: int, **labels: str) -> DataContext:
    return DataContext(targets=targets(regression={"outputs": outputs}), labels=labels)


def problems(options: dict[str, Any], outputs: int = 2, **labels: str) -> list[str]:
    made, data = NumberLabelOptions(**options), data_of(outputs, **labels)
    found = [*made.check(BuildContext(labels=labels)), *made.check_targets(data)]
    return [f"{each.option}: {each.message}" for each in found]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": ["a", "b", "c"]}, "names: names 3 outputs, but model.target.regression.outputs is 2"),
        ({"fields": ["a", "b", "c"]}, "fields: names 3 fields, but model.target.regression.outputs is 2"),
        ({"names": ["a", "a"]}, "names: 'a' is listed twice"),
        ({"fields": ["a", "a"]}, "fields: 'a' is listed twice"),
        (
            {"fields": ["a", "b"], "names": ["a", "b"]},
            "names: is for the outputs of one field; outputs of several fields are named after these",
        ),
        ({"names": {"x": ["a", "b"]}}, "names: 'x' is no target of data.labels, which has none"),
    ],
)
def test_options_that_do_not_fit_are_named(options: dict[str, Any], message: str) -> None:
    assert problems(options) == [message]


def test_each_target_may_have_a_column_and_names_of_its_own() -> None:
    assert problems({"names": {"regression": ["a", "b"]}}, regression="mood") == []
    assert problems({"fields": ["a", "b"]}, regression="mood") == [
        "fields: data.labels names the columns (mood); leave it out"
    ]
    made = NumberLabelOptions(names={"regression": ["a", "b"]}).record_labels(data_of(2, regression="mood"))
    assert made.columns == ("label:regression",)
    record = Record({"mood": [1, 2]}, "a.jsonl", 1)
    cells = made.read(record)
    assert made.labels([cells])["regression"]["labels"].tolist() == [[1.0, 2.0]]
    assert made.named([{"values": [1.0, 2.0]}]) == [{"values": {"a": 1.0, "b": 2.0}}]


def test_two_targets_of_one_label_have_the_same_number_of_outputs() -> None:
    data = DataContext(targets={**data_of(1).targets, "other": data_of(2).targets["regression"]})
    (found,) = NumberLabelOptions().check_targets(data)
    assert found.message.startswith("model.target.other.outputs is 2, and that of regression is 1; both get the same")
