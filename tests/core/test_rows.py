"""Prepared rows come back as they were written: numbers, types and shapes; what cannot is refused and named."""

from __future__ import annotations

import enum
import os
import pickle
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tp_core.data.cache.rows import ArrowRows, write_rows
from tp_core.errors import DataError

TYPES = ("?", "b", "B", "h", "H", "i", "I", "q", "Q", "e", "f", "d")


def kept(folder: Path, *chunks: Sequence[Any]) -> list[Any]:
    """The cells of a column that was written in these chunks."""
    count = write_rows(folder / "rows", [{"a": chunk} for chunk in chunks])
    rows = ArrowRows(folder / "rows")
    assert len(rows) == count == sum(map(len, chunks))
    return [rows.get("a", index) for index in range(count)]


def refused(folder: Path, *chunks: Mapping[str, Any]) -> str:
    with pytest.raises(DataError) as caught:
        write_rows(folder / "rows", chunks)
    assert not os.listdir(folder)
    return str(caught.value)


def same(found: Any, expected: NDArray[Any]) -> bool:
    """Equal bits, type and shape."""
    is_array = isinstance(found, np.ndarray) and found.shape == expected.shape and found.dtype == expected.dtype
    return is_array and found.tobytes() == expected.tobytes()


# -- arrays ------------------------------------------------------------------------------------------------------------


def draw(random: np.random.Generator, code: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """An array of any bits: of floats, infinities and NaN with any payload among them."""
    dtype = np.dtype(code)
    if code == "?":
        return np.asarray(random.random(shape) < 0.5)
    count = int(np.prod(shape)) * dtype.itemsize
    return np.frombuffer(random.bytes(count), dtype).reshape(shape)


@pytest.mark.parametrize("code", TYPES)
@pytest.mark.parametrize("axes", range(5))
def test_arrays_keep_type_and_shape(tmp_path: Path, code: str, axes: int) -> None:
    random = np.random.default_rng([ord(code), axes])
    given = [draw(random, code, tuple(random.integers(0, 5, axes))) for _ in range(40)]
    given[3] = np.zeros((0, *range(2, axes + 1))[:axes], code)
    found = kept(tmp_path, given[:3], given[3:4], given[4:])
    assert all(map(same, found, given))


@given(
    code=st.sampled_from(TYPES),
    shapes=st.integers(0, 3).flatmap(lambda axes: st.lists(st.tuples(*[st.integers(0, 4)] * axes), min_size=1)),
    cuts=st.lists(st.integers(0, 9), max_size=3),
    seed=st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_arrays_of_any_shapes_keep_them_however_they_are_cut_into_chunks(
    tmp_path_factory: pytest.TempPathFactory, code: str, shapes: list[tuple[int, ...]], cuts: list[int], seed: int
) -> None:
    random = np.random.default_rng(seed)
    given = [draw(random, code, shape) for shape in shapes]
    places = [0, *sorted(cuts), len(given)]
    chunks = [given[start:end] for start, end in pairwise(places)]
    assert all(map(same, kept(tmp_path_factory.mktemp("rows"), *filter(None, chunks)), given))


def test_arrays_that_are_views_or_of_another_byte_order_keep_their_numbers(tmp_path: Path) -> None:
    whole = np.arange(24, dtype=np.float32).reshape(4, 6)
    given = [whole.T, whole[::-2, 1:5:3], np.broadcast_to(whole[:1], (3, 6)), np.asfortranarray(whole)]
    assert all(map(same, kept(tmp_path, given), map(np.ascontiguousarray, given)))
    swapped = [np.array([1, -2], ">i4"), np.array([3], "<i4")]
    assert all(map(same, kept(tmp_path, swapped), [np.array([1, -2], np.int32), np.array([3], np.int32)]))


def test_tensors_are_arrays(tmp_path: Path) -> None:
    given = [torch.randn(2, 3, requires_grad=True), torch.zeros(0, 4), torch.ones(4, 2)[:, 1:]]
    assert all(map(same, kept(tmp_path, given), [each.detach().numpy().copy() for each in given]))
    assert same(kept(tmp_path, [torch.tensor(2.5)])[0], np.array(2.5, np.float32))
    assert same(kept(tmp_path, [[torch.tensor([1, 2]), torch.tensor([3, 4])]])[0], np.array([[1, 2], [3, 4]]))


def test_arrays_are_read_only_views_of_the_file(tmp_path: Path) -> None:
    for cell in kept(tmp_path, [np.arange(6, dtype=np.int16).reshape(2, 3), np.ones((1, 1), np.int16)]):
        assert not cell.flags.writeable
        assert not cell.flags.owndata
        with pytest.raises(ValueError, match="read-only"):
            cell[:] = 0


# -- lists and single numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        ([[0.25, 0.75], [], [-0.0, 1e300]], "float64"),
        ([(0.25,), [0.1]], "float64"),
        ([[1, 2], [], [-(2**31), 2**31 - 1]], "int32"),
        ([[1, 2], [2**31]], "int64"),
        ([[1], [-(2**31) - 1], (3,)], "int64"),
        ([[2**40]], "int64"),
        ([[2**63 - 1], [-(2**63)]], "int64"),
        ([[1], [2**64 - 1]], "uint64"),
        ([[2**63, 1]], "uint64"),
        ([[True, False], [True], []], "bool"),
        ([[1, 0.5], [3]], "float64"),
        ([[3], [1, 0.5]], "float64"),
        ([[2**53, 0.5]], "float64"),
        ([[True], [7]], "int32"),
        ([[np.float32(0.1), np.float32(2)]], "float32"),
        ([[np.int8(-3)], [np.uint8(200)]], "int16"),
        ([[np.float16(0.1), 100000]], "float64"),
        ([[[1, 2], [3, 4]], [[5, 6]]], "int32"),
        ([[[1, 2], [3, 2**40]], [[5, 6]]], "int64"),
        ([[[1, 2**63]]], "uint64"),
        ([[[1.5, 2.5]], [[], []]], "float64"),
        ([[[], []], [[], [], []]], "int32"),
        ([[[[1.5]], [[2.5]]]], "float64"),
        ([[np.arange(3, dtype=np.uint8)] * 2], "uint8"),
        ([range(3), [5]], "int64"),
        ([[], []], "int32"),
        ([[]], "int32"),
        ([np.array([1], np.int32), np.array([])], "int32"),
        ([np.array([1], np.int16), np.array([0.5], np.float32)], "float32"),
        ([np.array([1], np.uint64), np.array([3])], "uint64"),
        ([np.array([2**53]), [0.5]], "float64"),
    ],
)
def test_lists_keep_their_numbers_in_one_type_of_the_column_whatever_the_chunks(
    tmp_path: Path, given: list[Any], dtype: str
) -> None:
    whole = kept(tmp_path, given)
    single = kept(tmp_path, *([each] for each in given))
    for found in (whole, single, kept(tmp_path, given[:1], given[1:], [given[0]])[:-1]):
        for cell, numbers in zip(found, given, strict=True):
            assert cell.dtype == dtype
            assert cell.tolist() == [each.tolist() if isinstance(each, np.ndarray) else each for each in numbers]
            assert cell.shape == np.shape(numbers)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ([True, False], bool),
        ([0, -(2**63), 2**63 - 1], int),
        ([1, 2**64 - 1], int),
        ([0.1, -0.0, float("inf"), 5e-324], float),
        ([1, 0.5], float),
        ([2**53, 0.5], float),
        ([np.int8(-3), np.int8(7)], int),
        ([np.int8(-3), 300], int),
        ([np.float16(1.5), np.float64(0.1)], float),
        ([np.bool_(True), np.bool_(False)], bool),
        ([enum.IntEnum("Kind", "A B").A, 5], int),  # type: ignore[attr-defined]
    ],
)
def test_single_numbers_are_pythons(tmp_path: Path, given: list[Any], kind: type) -> None:
    for found in (kept(tmp_path, given), kept(tmp_path, *([each] for each in given))):
        assert found == given
        assert list(map(repr, found)) == [repr(kind(each)) for each in given]
    assert np.isnan(kept(tmp_path, [1, float("nan")])[1])


def test_bytes_are_arrays_of_bytes(tmp_path: Path) -> None:
    found = kept(tmp_path, [b"ab", b""], [bytearray(b"\xff")], [b""])
    assert [each.dtype for each in found] == [np.uint8] * 4
    assert [each.tobytes() for each in found] == [b"ab", b"", b"\xff", b""]


def test_a_column_that_widens_late_keeps_the_other_columns_and_the_numbers_before(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    grids = [random.normal(size=(i % 3, 2)) for i in range(12)]
    wide = [[i, -i] for i in range(6)] + [[2**40, i] for i in range(3)] + [[0.5, i] for i in range(3)]
    flags = [[True]] * 11 + [[2]]
    columns = {"grid": grids, "wide": wide, "flag": flags, "data": [b"x" * i for i in range(12)], "label": [*range(12)]}
    chunks = [{name: values[i : i + 2] for name, values in columns.items()} for i in range(0, 12, 2)]
    assert write_rows(tmp_path / "rows", chunks) == 12
    assert os.listdir(tmp_path) == ["rows"]
    rows = ArrowRows(tmp_path / "rows")
    for index in range(12):
        assert same(rows.get("grid", index), grids[index])
        assert same(rows.get("wide", index), np.array(wide[index], np.float64))
        assert same(rows.get("flag", index), np.array(flags[index], np.int32))
        assert rows.get("data", index).tobytes() == columns["data"][index]
        assert rows.get("label", index) == index


def test_ids_take_four_bytes_each(tmp_path: Path) -> None:
    ids = [list(range(1000))] * 100
    sizes = []
    for name, values in {"lists": ids, "arrays": [np.array(each, np.int32) for each in ids]}.items():
        write_rows(tmp_path / name, [{"ids": values}])
        sizes.append((tmp_path / name).stat().st_size)
    assert sizes[0] == sizes[1] < 4 * 100 * 1000 + 3000


# -- what cannot be kept -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("a text", "is the text 'a text'; expected a number, bytes, or a list or an array of numbers; text.encode()"),
        (None, "is None; expected a number, bytes, or a list or an array of numbers; leave the record out"),
        ({"a": 1}, "is a value of the type dict; expected a number, bytes"),
        ({1, 2}, "is a value of the type set; expected"),
        (Fraction(1, 3), "is a value of the type Fraction; expected"),
        (1j, "is a value of the type complex; expected"),
        (2**64, "is 18446744073709551616; expected integers from -9223372036854775808 to 9223372036854775807"),
        (-(2**63) - 1, "is -9223372036854775809; expected integers"),
        (np.complex64(1), "is of complex64; expected bool, integers, or floats of 16, 32 or 64 bits; convert it"),
        (np.datetime64("2020-01-01"), "is of datetime64[D]; expected"),
        (["a"], "holds the text 'a'; expected"),
        ([1, None], "holds None; expected"),
        ([0.5, "a"], "holds the text 'a'; expected"),
        ([1, 2**64], "holds 18446744073709551616; expected integers"),
        ([-1, 2**63], "holds -1 and 9223372036854775808, which no type of integers holds both; expected"),
        ([2**53 + 1, 0.5], "holds 9007199254740993, which float64, the type for the list, cannot hold; expected"),
        ([[2**53 + 1, 0.5]], "holds 9007199254740993, which float64, the type for the list, cannot hold; expected"),
        ([1j], "holds a value of the type complex; expected"),
        ([[1, 2], [3]], "is a list of lists of different lengths; expected a regular shape; write the numbers as one"),
        ([[1], 2], "is a list of lists of different lengths; expected"),
        (np.array(["a"]), "is of <U1; expected bool, integers"),
        (np.array([1, None]), "is of object; expected bool, integers"),
        (np.array([1], "M8[s]"), "is of datetime64[s]; expected bool, integers"),
        (np.array([(1, 2)], "i4,i4"), "is of [('f0', '<i4'), ('f1', '<i4')]; expected bool, integers"),
        (np.ma.masked_array([1, 2], [False, True]), "is an array with masked values; expected numbers; filled()"),
        (torch.ones(2, dtype=torch.bfloat16), "is of bfloat16, which NumPy does not have; write its float()"),
        (torch.eye(2).to_sparse(), "is a value of the type Tensor, and no array: "),
    ],
)
def test_what_is_more_than_numbers_is_refused_with_its_column_and_row(tmp_path: Path, value: Any, message: str) -> None:
    for chunk, row in (([value], 0), ([[1], [1], value, value], 2)):
        said = refused(tmp_path, {"a": chunk})
        assert said.startswith(f"prepared rows: column 'a', row {row} of chunk 0 (from 0) {message}"), said


@pytest.mark.parametrize(
    ("before", "value", "message"),
    [
        (
            1,
            [1],
            "is an array of 1 dimension, but an earlier cell of the column is a single number; expected cells",
        ),
        ([1], 1, "is a single number, but an earlier cell of the column is an array of 1 dimension; expected"),
        (b"a", [1], "is an array of 1 dimension, but an earlier cell of the column is bytes; expected"),
        ([1], b"a", "is bytes, but an earlier cell of the column is an array of 1 dimension; expected"),
        (np.zeros(2), np.zeros((2, 2)), "is an array of 2 dimensions, but an earlier cell of the column is an"),
        (
            [[1, 2]],
            [],
            "is an array of 1 dimension, but an earlier cell of the column is an array of 2 dimensions",
        ),
        (np.array(1), 1, "is a single number, but an earlier cell of the column is an array of 0 dimensions"),
    ],
)
def test_a_column_holds_cells_of_one_kind(tmp_path: Path, before: Any, value: Any, message: str) -> None:
    within, across = [{"a": [before, before, value]}], [{"a": [before, before]}, {}, {"a": [value]}]
    for chunks, row, chunk in ((within, 2, 0), (across, 0, 2)):
        said = refused(tmp_path, *chunks)
        assert said.startswith(f"prepared rows: column 'a', row {row} of chunk {chunk} (from 0) {message}"), said
    empty = "; an empty list has one dimension, and np.zeros((0, 4)) has two"
    assert (empty in said) == (value == [] if isinstance(value, list) else False)


@pytest.mark.parametrize(
    ("large", "other", "dtype"),
    [
        ([2**53 + 1], [0.5], "float64"),
        (2**53 + 1, 0.5, "float64"),
        (2**63 - 1, 0.5, "float64"),
        (2**64 - 1, 0.5, "float64"),
        (np.array([7, 2**62 + 1]), np.array([0.5], np.float32), "float64"),
        ([7, -1], [2**63], "uint64"),
        (-1, 2**63, "uint64"),
        (np.array([-1]), np.array([1], np.uint64), "uint64"),
    ],
)
def test_no_number_is_rounded_to_join_others(tmp_path: Path, large: Any, other: Any, dtype: str) -> None:
    number = np.ravel(large)[-1]
    message = f" (from 0) holds {number}, which {dtype}, the type for its column, cannot hold; expected"
    for chunks, place in (
        ([[large, other]], "row 0 of chunk 0"),
        ([[other, large]], "row 1 of chunk 0"),
        ([[other], [other, large]], "row 1 of chunk 1"),
        ([[other * 0 if isinstance(other, list) else large * 0, large], [other]], "row 1 of chunk 0"),
    ):
        assert refused(tmp_path, *({"a": chunk} for chunk in chunks)).startswith(
            f"prepared rows: column 'a', {place}{message}"
        )


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        (
            [{"a": [1], "b": [1, 2]}],
            "chunk 0 has columns of different lengths (1 in 'a', 2 in 'b'); expected a cell for",
        ),
        ([{"a": [1], "b": []}], "chunk 0 has columns of different lengths (1 in 'a', 0 in 'b')"),
        ([{"a": [1], "b": [1]}, {"a": [1]}], "chunk 1 lacks the column 'b', which the chunks before have; expected"),
        ([{"a": [1]}, {"a": [1], "b": [1]}], "chunk 1 has the column 'b', which none of the chunks before has"),
        ([{"a": np.arange(3)}], "column 'a' of chunk 0 is a value of the type ndarray; expected a list with a cell"),
        ([{"a": "abc"}], "column 'a' of chunk 0 is a value of the type str; expected a list with a cell"),
    ],
)
def test_chunks_have_the_same_columns_with_a_cell_for_each_row(
    tmp_path: Path, chunks: list[dict[str, Any]], message: str
) -> None:
    assert refused(tmp_path, *chunks).startswith(f"prepared rows: {message}")


def test_what_was_there_stays_when_other_rows_are_refused(tmp_path: Path) -> None:
    kept(tmp_path, [1, 2])
    with pytest.raises(DataError):
        write_rows(tmp_path / "rows", [{"a": [[1]]}, {"a": [[0.5]]}, {"a": ["text"]}])
    assert os.listdir(tmp_path) == ["rows"]
    assert len(ArrowRows(tmp_path / "rows")) == 2


# -- reading -----------------------------------------------------------------------------------------------------------


def test_chunks_without_rows_are_nothing_and_no_rows_no_file(tmp_path: Path) -> None:
    assert write_rows(tmp_path / "rows", [{}, {"a": []}, {}]) == 0
    assert not os.listdir(tmp_path)
    assert write_rows(tmp_path / "rows", [{}, {"a": [1]}, {"a": []}, {}, {"a": [2]}]) == 2


def test_lengths_are_those_of_the_first_dimension(tmp_path: Path) -> None:
    sizes = [3, 0, 7, 1, 0]
    columns: dict[str, list[Any]] = {
        "ids": [list(range(size)) for size in sizes],
        "grid": [np.ones((size, 2, index)) for index, size in enumerate(sizes)],
        "data": [b"x" * size for size in sizes],
        "label": sizes,
        "score": [0.5] * 5,
    }
    write_rows(tmp_path / "rows", [{name: values[part] for name, values in columns.items()} for part in _HALVES])
    rows = pickle.loads(pickle.dumps(ArrowRows(tmp_path / "rows")))
    for name in ("ids", "grid", "data"):
        assert rows.lengths(name).dtype == np.int64
        assert rows.lengths(name).tolist() == sizes
    assert rows.integers("label").tolist() == sizes
    for read, name, message in (
        (rows.lengths, "label", "column 'label' has no lengths: its cells are single numbers"),
        (rows.integers, "score", "in column 'score', each cell is a single number of float64; expected integers"),
        (rows.integers, "ids", "in column 'ids', each cell is an array of 1 dimension of int32; expected integers"),
        (rows.lengths, "texts", "no column 'texts'; the columns are ids, grid, data, label, score"),
        (lambda name: rows.get(name, 0), "texts", "no column 'texts'; the columns are"),
    ):
        with pytest.raises(DataError) as caught:
            read(name)
        assert str(caught.value).startswith(f"prepared rows: {message}")
    for index in (-1, 5):
        with pytest.raises(IndexError):
            rows.get("ids", index)


_HALVES = (slice(0, 2), slice(2, 5))


def test_other_programs_read_the_file(tmp_path: Path) -> None:
    columns = {
        "ids": [[1, 2], [3]],
        "grid": [np.eye(2, dtype=np.float32), np.ones((1, 2), np.float32)],
        "label": [4, 5],
    }
    write_rows(tmp_path / "rows", [columns])
    table = pa.ipc.open_file(str(tmp_path / "rows")).read_all()
    assert table["ids"].to_pylist() == [[1, 2], [3]]
    assert table["label"].to_pylist() == [4, 5]
    first = {"numbers": [1.0, 0.0, 0.0, 1.0], "shape": [2, 2]}
    assert table["grid"].to_pylist() == [first, {"numbers": [1.0, 1.0], "shape": [1, 2]}]
