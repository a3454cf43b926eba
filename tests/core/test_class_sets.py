"""Sets of classes of records: lists, texts with a delimiter, integers, no class at all, and what is no set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.contexts import targets
from tp_core import BuildContext, DataContext, TPError
from tp_core.data.classes.labels import ClassLabels
from tp_core.data.classes.set_options import ClassSetOptions
from tp_core.data.classes.sets import ClassSets
from tp_core.errors import DataError
from tp_core.interfaces import Record

NAMES = ["weather", "sport", "art"]
OPTION = "data.processor.multi_label.labels"


def reader(names: Any = NAMES, count: int | None = None, delimiter: str = ",") -> ClassSets:
    return ClassSets(ClassLabels(names, count or len(names), OPTION), delimiter)


def read(value: Any, names: Any = NAMES, count: int | None = None, delimiter: str = ",") -> list[int]:
    found: list[int] = reader(names, count, delimiter).read(Record({"label": value}, "a.tsv", 2)).tolist()
    return found


def refused(value: Any, names: Any = NAMES, count: int | None = None, delimiter: str = ",") -> str:
    with pytest.raises(DataError) as caught:
        read(value, names, count, delimiter)
    return str(caught.value).removeprefix("a.tsv:2: ")


@pytest.mark.parametrize(
    "value", ["art,weather", " art , weather ", ["art", "weather"], ("weather", "art"), np.array(["art", "weather"])]
)
def test_a_set_is_a_list_or_a_text_with_a_delimiter(value: Any) -> None:
    assert read(value) == [0, 2]
    assert read("art; weather", delimiter=";") == [0, 2]
    assert read("art") == [2]


@pytest.mark.parametrize("value", ["2,0", [2, 0], ["2", 0.0], "2.0, 0"])
def test_integers_are_classes_without_names_and_integers_of_names(value: Any) -> None:
    assert read(value, None, 3) == [0, 2]
    assert read(value, {0: "weather", 2: "art"}) == [0, 1]
    assert read(2, None, 3) == [2]


@pytest.mark.parametrize("value", ["", "  ", [], (), np.array([], dtype=object)])
def test_an_empty_set_is_no_class(value: Any) -> None:
    assert read(value) == []


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("wether", "unknown label 'wether'; did you mean 'weather'?"),
        ("art,x", "unknown label 'x'; the labels are weather, sport, art"),
        (["sport", "sport"], "the label 'sport' is listed twice"),
        ("sport, sport", "the label 'sport' is listed twice"),
        ("sport,,art", "there is an empty label between delimiters (',') in 'sport,,art'"),
        ("sport,", "there is an empty label between delimiters (',') in 'sport,'"),
        ("art; sport", "unknown label 'art; sport'; to divide it at ';', set delimiter: ';'"),
        ({"art": 1}, "expected a list of labels, or a text with ',' between labels, got a mapping"),
        (b"art", "expected a list of labels, or a text with ',' between labels, got bytes"),
        ([["art"]], "unknown label '['art']'"),
        ([None], "unknown label 'None'"),
        (True, "unknown label 'True'"),
        (1, f"unknown label '1'; the labels are weather, sport, art; {{1: NAME, ...}} in {OPTION} names integers"),
    ],
)
def test_what_is_no_set_of_known_classes_is_named(value: Any, message: str) -> None:
    assert refused(value).startswith(message)


def test_integers_that_are_no_classes_are_named() -> None:
    assert refused("0,3", None, 3) == "the label 3 is out of range; expected an integer from 0 to 2"
    assert refused("1, 01", None, 3) == "the label '01' is listed twice (as '1', too)"
    assert refused([True], None, 3).startswith("the label 'True' is no integer; expected an integer from 0 to 2")


def test_a_text_that_is_divided_inside_of_a_name_says_so() -> None:
    names = ["arts, crafts", "sport"]
    assert read(["arts, crafts"], names) == [0]
    assert read("arts, crafts|sport", names, delimiter="|") == [0, 1]
    said = refused("arts, crafts", names)
    assert said.endswith("(the text is divided at ',', which 'arts, crafts' contains; see delimiter)")


def test_a_missing_set_is_not_an_empty_one() -> None:
    assert refused(None).startswith("no field 'label'")


def test_a_batch_has_a_row_of_zeros_and_ones_and_nan_without_a_label() -> None:
    made = reader()
    found = made.batch([made.cell("art,weather"), made.cell([]), None])
    assert found.dtype == torch.float32
    assert found[:2].tolist() == [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    assert found[2].isnan().all()


def test_predictions_have_the_names_of_the_classes() -> None:
    one = {"labels": [0, 2], "probabilities": [0.75, 0.25, 0.5]}
    named = {"labels": ["weather", "art"], "probabilities": {"weather": 0.75, "sport": 0.25, "art": 0.5}}
    assert reader().named([one]) == [named]
    several = {"topics": one, "other": {"labels": [1], "probabilities": [0.1, 0.9]}}
    assert reader().named([several]) == [{**several, "topics": named}]
    assert reader(None, 3).named([one]) == [one]


# -- options ---------------------------------------------------------------------------------------------------------


def data_of(classes: int, **labels: str) -> DataContext:
    return DataContext(targets=targets(multi_label={"num_labels": classes}), labels=labels)


def test_the_number_of_classes_is_that_of_the_names_or_of_the_target() -> None:
    made = ClassSetOptions().record_labels(data_of(4))
    assert made.labels([made.read(Record({"label": "3"}, "a", 1))])["multi_label"]["labels"].tolist() == [[0, 0, 0, 1]]
    (problem,) = ClassSetOptions(labels=NAMES).check_targets(data_of(4))
    assert problem.message == "names 3 classes, but model.target.multi_label.num_labels is 4"
    (problem,) = ClassSetOptions().check_targets(DataContext())
    assert problem.message == "is required: no target has num_labels, so the number of classes is unknown"
    with pytest.raises(TPError, match="the number of classes is unknown; list their names in data"):
        ClassSetOptions().record_labels(DataContext())


def test_each_target_may_have_a_column_and_names_of_its_own() -> None:
    data = data_of(3, multi_label="topics")
    options = ClassSetOptions(labels={"multi_label": NAMES}, delimiter="|")
    assert [*options.check(BuildContext(labels=data.labels)), *options.check_targets(data)] == []
    made = options.record_labels(data)
    cells = made.read(Record({"topics": "art|sport"}, "a", 1))
    assert made.labels([cells])["multi_label"]["labels"].tolist() == [[0, 1, 1]]
