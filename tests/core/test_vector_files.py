"""Files of vectors that are written chunk by chunk hold what they would hold if they were written at once."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tp_core.cli import vector_files
from tp_core.cli.vector_files import NpyFile, ParquetFile, field_types
from tp_core.errors import DataError
from tp_core.interfaces import Record


def records(values: list[Any]) -> list[Record]:
    return [
        Record({} if value is ... else {"field": value}, "file.jsonl", line) for line, value in enumerate(values, 1)
    ]


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3, 2.5],
        [None, None, "a", None],
        [..., ..., 7, ...],
        [[], [], [1], [0.5]],
        [{"a": 1}, {"a": None}, {"b": "x"}, {"a": 2.5}],
        [b"x", b"y", "z", None],
    ],
)
def test_a_field_has_the_type_that_fits_all_values(monkeypatch: pytest.MonkeyPatch, values: list[Any]) -> None:
    monkeypatch.setattr(vector_files, "_CHUNK", 2)
    monkeypatch.setattr(vector_files, "_ROW_GROUP", 1)
    rows = records(values)
    types, file = field_types(rows), io.BytesIO()
    expected = pa.array([None if value is ... else value for value in values])
    assert types.field("field").type == expected.type
    vectors = np.arange(12, dtype=np.float32).reshape(4, 3)
    made = ParquetFile(file, 3, types)
    for start in (0, 2):
        made.write(rows[start : start + 2], vectors[start : start + 2])
    made.close()
    found = pq.ParquetFile(file)
    assert found.num_row_groups == 2
    table = found.read()
    assert table.column("field").to_pylist() == expected.to_pylist()
    assert np.array_equal(np.stack(table.column("embedding").to_pylist()), vectors)


@pytest.mark.parametrize("values", [[1, 2, "a"], [True, False, 1], ["a", "b", "\ud800"]])
def test_a_field_that_no_column_can_hold_is_named(monkeypatch: pytest.MonkeyPatch, values: list[Any]) -> None:
    monkeypatch.setattr(vector_files, "_CHUNK", 2)
    with pytest.raises(DataError, match=r"file\.jsonl: the field 'field' cannot be a column of a Parquet file"):
        field_types(records(values))


def test_a_field_with_the_name_of_the_vectors_is_refused() -> None:
    with pytest.raises(DataError, match="the field 'embedding' has the name of the vectors; --column OTHER=embedding"):
        field_types([Record({"text": "a", "embedding": 1}, "file.jsonl", 1)])


@pytest.mark.parametrize("counts", [[], [1], [3, 0, 2000], [10] * 200])
def test_a_numpy_file_is_the_one_that_numpy_writes(counts: list[int]) -> None:
    parts = [np.random.default_rng(n).standard_normal((count, 5)).astype(np.float32) for n, count in enumerate(counts)]
    file, expected = io.BytesIO(), io.BytesIO()
    made = NpyFile(file, 5)
    for part in parts:
        made.write([], part)
    made.close()
    np.save(expected, np.concatenate(parts) if parts else np.empty((0, 5), np.float32))
    assert file.getvalue() == expected.getvalue()
