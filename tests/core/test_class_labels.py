"""Labels of records: integers, names, names of integers, and what is no label."""

from __future__ import annotations

import json
import unicodedata
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tp_core.data.classes.labels import ClassLabels
from tp_core.data.fields import required_text
from tp_core.data.sources.records import BadRecords, read_records
from tp_core.errors import DataError
from tp_core.interfaces import Record

OPTION = "data.processor.cls.labels"
CAFE = "caf\u00e9"


def read(names: Any, value: Any, count: int | None = None) -> int:
    return ClassLabels(names, count, OPTION).read(Record({"label": value}, "a.tsv", 2))


def refused(names: Any, value: Any, count: int | None = None) -> str:
    with pytest.raises(DataError) as caught:
        read(names, value, count)
    return str(caught.value).removeprefix("a.tsv:2: ")


@pytest.mark.parametrize("value", [1, "1", " 1\t", "+1", 1.0, "1.0", "1.", np.int8(1), np.float32(1), Decimal(1)])
def test_an_integer_is_one_however_a_table_writes_it(value: Any) -> None:
    assert read(None, value, 3) == 1
    assert read({1: "one", 5: "five"}, value) == 0
    assert read(["0", "1"], value) == 1


@pytest.mark.parametrize("value", [True, "1_0", "\u0661", 1.5, "1.5", "", "one", float("nan"), float("inf"), [1], b"1"])
def test_what_is_no_integer_is_said_to_be_none(value: Any) -> None:
    said = refused(None, value, 3)
    assert said == f"the label '{value}' is no integer; expected an integer from 0 to 2, or list the names in {OPTION}"


def test_an_integer_that_is_no_class_is_out_of_range() -> None:
    assert refused(None, -1) == "the label -1 is out of range; expected an integer from 0"
    assert refused(None, "7.0", 3) == "the label 7 is out of range; expected an integer from 0 to 2"


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC"])
@pytest.mark.parametrize("written", ["NFC", "NFD"])
def test_names_are_compared_as_unicode_compares_them(form: Any, written: Any) -> None:
    name = unicodedata.normalize(form, CAFE)
    assert read(["bar", name], unicodedata.normalize(written, CAFE)) == 1
    assert read({7: "bar", 9: name}, unicodedata.normalize(written, CAFE)) == 1


def test_a_name_that_no_class_has_is_told_with_the_nearest_or_with_all() -> None:
    assert refused(["neutral", "happy"], "hapy") == "unknown label 'hapy'; did you mean 'happy'?"
    assert refused(["neutral", "happy"], "x") == "unknown label 'x'; the labels are neutral, happy"
    assert refused({0: "neutral", 1: "happy"}, "x") == "unknown label 'x'; the labels are 0 (neutral), 1 (happy)"
    assert refused({0: "neutral", 1: "happy"}, 2) == "unknown label '2'; the labels are 0 (neutral), 1 (happy)"
    said = refused([f"class{number}" for number in range(1000)], "x")
    assert said.endswith("class18, class19 and 980 more")


def test_an_integer_where_names_are_expected_says_how_integers_are_named() -> None:
    said = refused(["neutral", "happy"], 1)
    assert said == f"unknown label '1'; the labels are neutral, happy; {{1: NAME, ...}} in {OPTION} names integers"


def test_integers_have_names_in_predictions() -> None:
    labels = ClassLabels({3: "neutral", 5: "happy"}, 2, OPTION)
    assert labels.named([{"label": 1, "probabilities": [0.25, 0.75]}]) == [
        {"label": "happy", "probabilities": {"neutral": 0.25, "happy": 0.75}}
    ]


def test_classes_have_the_names_that_are_noted_in_a_file(tmp_path: Path) -> None:
    features = {
        "label": {"names": ["bad", "good"], "_type": "ClassLabel"},
        "more": {"feature": {}, "_type": "Sequence"},
    }
    schema = pa.schema([("label", pa.int64())], {"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(pa.table({"label": [0, 1]}, schema=schema), tmp_path / "a.parquet")
    labels = ClassLabels(["good", "bad"], None, OPTION)
    assert [labels.read(record) for record in read_records([str(tmp_path / "a.parquet")])] == [1, 0]
    for note in ("{", "[]", '{"info": {"features": {"label": 7}}}'):  # somebody else's
        pq.write_table(
            pa.table({"label": [0, 1]}, schema=schema.with_metadata({"huggingface": note})), tmp_path / "b.parquet"
        )
        assert [record.value for record in read_records([str(tmp_path / "b.parquet")])] == [{"label": 0}, {"label": 1}]


@pytest.mark.slow
def test_classes_of_hugging_face_datasets_have_their_names(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"label": datasets.ClassLabel(names=["bad", "good"])})
    made = datasets.Dataset.from_dict({"label": [0, 1, -1]}, features=features)
    made.save_to_disk(tmp_path / "saved")
    made.to_parquet(tmp_path / "a.parquet")
    for path in ("saved", "a.parquet"):
        records = list(read_records([str(tmp_path / path)]))
        assert [record.value["label"] for record in records] == [0, 1, -1]
        named, mapped, plain = (ClassLabels(n, None, OPTION) for n in (["good", "bad"], {0: "a", 1: "b"}, None))
        assert [named.read(record) for record in records[:2]] == [1, 0]
        assert [mapped.read(record) for record in records[:2]] == [0, 1]
        assert [plain.read(record) for record in records[:2]] == [0, 1]
        assert [required_text(record, "label") for record in records] == ["bad", "good", "-1"]
        for labels in (named, mapped, plain):
            with pytest.raises(DataError, match="-1"):
                labels.read(records[2])


def no_text(values: list[bytes]) -> Any:
    """An Arrow array of strings of any bytes."""
    held = pa.array(values, pa.binary())
    return pa.Array.from_buffers(pa.string(), len(held), held.buffers())


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_a_string_of_arrow_that_is_no_text_makes_its_row_bad(tmp_path: Path, name: str) -> None:
    texts = no_text([b"good", b"\xff", b"fine", b"x"])
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 2, 3, 4], pa.int32()), no_text([b"a", b"b", b"c", b"\xe5"]))
    table = pa.table({"text": texts, "more": lists, "n": [1, 2, 3, 4]})
    if name == "a.parquet":
        pq.write_table(table, tmp_path / name)
    else:
        with pa.ipc.new_file(tmp_path / name, table.schema) as file:
            file.write_table(table)
    bad = BadRecords("skip")
    path = str(tmp_path / name)
    found = [(record.line, record.value["n"]) for record in read_records([path], bad=bad)]
    assert found == [(1, 1), (3, 3)]
    said = "a value of the column '{}' cannot be read: it is not UTF-8"
    assert bad.messages == [f"{path}:2: {said.format('text')}", f"{path}:4: {said.format('more')}"]
    with pytest.raises(DataError, match=":2: "):
        list(read_records([path]))


def test_an_arrow_file_with_an_offset_out_of_bounds_is_damaged(tmp_path: Path) -> None:
    texts = pa.array(["good", "fine", "last"])
    path = tmp_path / "a.arrow"
    with pa.ipc.new_file(path, pa.schema([("text", pa.string())])) as file:
        file.write_batch(pa.record_batch([texts], ["text"]))
    whole, offsets = path.read_bytes(), texts.buffers()[1].to_pybytes()[:16]
    assert whole.count(offsets) == 1
    path.write_bytes(whole.replace(offsets, np.array([0, 4, 2**30, 12], "<i4").tobytes()))
    with pytest.raises(DataError, match=r"the column .text. is damaged: .*1073741824"):
        list(read_records([str(path)], bad=BadRecords("skip")))
