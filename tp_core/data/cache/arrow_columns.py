"""Columns of prepared rows as Arrow arrays: their fields, their storage and their cells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tp_core.data.cache.cells import Cells, Kind, Numbers

_LAYOUT = b"tp"

#: Arrow packs bool values into bits, so that NumPy cannot view them.
_STORED = {np.dtype(np.bool_): np.dtype(np.uint8)}


# -- NumPy and Arrow ---------------------------------------------------------------------------------------------------
# Arrays are converted through their buffers: pa.array() and to_numpy() import pandas if it is installed.


def arrow_column(numbers: Numbers) -> pa.Array:
    numbers = np.ascontiguousarray(numbers).view(_STORED.get(numbers.dtype, numbers.dtype))
    return pa.Array.from_buffers(arrow_type(numbers.dtype), len(numbers), [None, pa.py_buffer(numbers)])


def arrow_type(dtype: np.dtype[Any]) -> pa.DataType:
    return pa.type_for_alias(str(_STORED.get(dtype, dtype)))


def view_of(column: pa.Array, dtype: np.dtype[Any]) -> Numbers:
    """A view of a column of numbers."""
    data = column.buffers()[1]
    if data is None:
        return np.empty(0, dtype)
    return np.frombuffer(data, dtype, count=len(column), offset=column.offset * dtype.itemsize)


def arrow_field(name: str, kind: Kind) -> pa.Field:
    layout = {"form": kind.form, "axes": kind.axes, "dtype": str(kind.dtype)}
    found = arrow_type(kind.dtype)
    if kind.axes:
        found = pa.large_list(found)
    if kind.axes > 1:
        found = pa.struct([("numbers", found), ("shape", pa.list_(pa.int64(), kind.axes))])
    return pa.field(name, found, metadata={_LAYOUT: json.dumps(layout).encode()})


def kind_of(field: pa.Field) -> Kind:
    layout = json.loads(field.metadata[_LAYOUT])
    return Kind(layout["form"], layout["axes"], np.dtype(layout["dtype"]))


def layout_of(kind: Kind) -> tuple[object, ...]:
    """The part of a kind that the schema of a file determines."""
    return kind.form, kind.axes, kind.dtype


def stored(cells: Cells, field: pa.Field) -> pa.Array:
    numbers = arrow_column(cells.flat)
    if not cells.kind.axes:
        return numbers
    lists = pa.LargeListArray.from_arrays(arrow_column(cells.offsets), numbers)
    if cells.kind.axes == 1:
        return lists
    shapes = pa.FixedSizeListArray.from_arrays(arrow_column(cells.shapes.reshape(-1)), cells.kind.axes)
    return pa.StructArray.from_arrays([lists, shapes], fields=list(field.type))


class ArrowColumn:
    """A column of one batch, as views of the file, for reading cells and their lengths."""

    def __init__(self, column: pa.Array, kind: Kind) -> None:
        self.kind = kind
        self.offsets = self.shapes = None
        if kind.axes > 1:
            column, shapes = column.field(0), column.field(1)
            self.shapes = view_of(shapes.values, np.dtype(np.int64)).reshape(-1, kind.axes)
        if kind.axes:
            self.offsets = view_of(column.offsets, np.dtype(np.int64))
            column = column.values
        self.numbers = view_of(column, kind.dtype)

    def __len__(self) -> int:
        return len(self.numbers) if self.offsets is None else len(self.offsets) - 1

    def get(self, row: int) -> Any:
        if self.offsets is None:
            return self.numbers[row].item() if self.kind.form == "number" else self.numbers[row : row + 1].reshape(())
        cell = self.numbers[self.offsets[row] : self.offsets[row + 1]]
        return cell if self.shapes is None else cell.reshape(self.shapes[row])

    def lengths(self) -> NDArray[np.int64]:
        """The length of each cell's first dimension."""
        assert self.offsets is not None
        return np.diff(self.offsets) if self.shapes is None else self.shapes[:, 0]

    def cells(self) -> Cells:
        shapes = self.shapes
        if shapes is None:
            shapes = np.empty((len(self), 0), np.int64) if self.offsets is None else self.lengths()[:, None]
        return Cells(self.kind, self.numbers, shapes)


def read_batches(path: Path) -> Iterator[dict[str, ArrowColumn]]:
    """The batches of a file: their columns by name."""
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    kinds = {field.name: kind_of(field) for field in reader.schema}
    for number in range(reader.num_record_batches):
        columns = reader.get_batch(number).columns
        yield {name: ArrowColumn(column, kind) for (name, kind), column in zip(kinds.items(), columns)}


# -- writing -----------------------------------------------------------------------------------------------------------
