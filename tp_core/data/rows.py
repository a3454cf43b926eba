"""Prepared instances in one Arrow file: written in a stream, read at random from mapped memory."""

from __future__ import annotations

import bisect
import os
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tp_core.interfaces import Rows

#: Types of numbers that are kept as they are; integers of any other become 32-bit.
_KEPT = (np.float32, np.float16, np.uint8, np.int16)


def _array(values: list[Any]) -> pa.Array:
    """A column: integers, floats, bytes, lists of 32-bit integers, or arrays of their own type of numbers.

    Made without a Python loop over items.
    """
    first = values[0]
    if isinstance(first, (int, np.integer)):
        return _column(np.array(values, dtype=np.int64))
    if isinstance(first, (float, np.floating)):
        return _column(np.array(values, dtype=np.float64))
    offsets = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(np.fromiter(map(len, values), np.int64, len(values)), out=offsets[1:])
    if isinstance(first, bytes):
        flat = np.frombuffer(b"".join(values), np.uint8)
    elif isinstance(first, np.ndarray) and first.dtype in _KEPT:
        flat = np.concatenate(values)
    elif isinstance(first, list):
        flat = np.fromiter(chain.from_iterable(values), np.int32, int(offsets[-1]))
    else:
        flat = np.concatenate([np.asarray(v, dtype=np.int32) for v in values])
    return pa.LargeListArray.from_arrays(_column(offsets), _column(flat))


#: Arrow's names of the types that NumPy names otherwise.
_FLOATS = {"double": "float64", "float": "float32", "halffloat": "float16"}


# Between NumPy and Arrow by their buffers: pa.array() and to_numpy() import pandas where it is installed.


def _column(numbers: NDArray[Any]) -> pa.Array:
    kind = pa.type_for_alias(str(numbers.dtype))
    return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(numbers)])


def _numbers(column: pa.Array) -> NDArray[Any]:
    """A view of a column of numbers."""
    kind = np.dtype(_FLOATS.get(str(column.type), str(column.type)))
    data = column.buffers()[1]
    if data is None:
        return np.empty(0, kind)
    return np.frombuffer(data, kind, count=len(column), offset=column.offset * kind.itemsize)


def write_rows(path: Path, chunks: Iterable[dict[str, list[Any]]]) -> int:
    """Write chunks of columns to an Arrow IPC file, atomically: the name exists only once the file is whole.

    Returns:
        The number of rows. With none, no file is written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    writer: Any = None
    try:
        with open(temporary, "wb") as file:
            for chunk in chunks:
                arrays = {name: _array(values) for name, values in chunk.items() if values}
                if not arrays:
                    continue
                batch = pa.record_batch(list(arrays.values()), names=list(arrays))
                if writer is None:
                    writer = pa.ipc.new_file(file, batch.schema)
                writer.write_batch(batch)
                count += batch.num_rows
            if writer is not None:
                writer.close()
            file.flush()
            os.fsync(file.fileno())
        if count:
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return count


class ArrowRows(Rows):
    """Rows of an Arrow IPC file, memory-mapped; a cell is a view, nothing is copied."""

    def __init__(self, path: Path) -> None:
        self.path = path
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        self._starts: list[int] = []
        self._columns: list[dict[str, Any]] = []
        total = 0
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            self._starts.append(total)
            self._columns.append({n: self._view(c) for n, c in zip(batch.schema.names, batch.columns)})
            total += batch.num_rows
        self._length = total

    @staticmethod
    def _view(column: Any) -> Any:
        if pa.types.is_large_list(column.type):
            return _numbers(column.offsets), _numbers(column.values)
        return _numbers(column)

    def __len__(self) -> int:
        return self._length

    def get(self, column: str, index: int) -> Any:
        chunk = bisect.bisect_right(self._starts, index) - 1
        data, local = self._columns[chunk][column], index - self._starts[chunk]
        if isinstance(data, tuple):
            offsets, values = data
            return values[offsets[local] : offsets[local + 1]]
        return data[local].item()

    def lengths(self, column: str) -> NDArray[np.int64]:
        chunks = [np.diff(columns[column][0]) for columns in self._columns]
        return np.concatenate(chunks) if chunks else np.empty(0, np.int64)

    def __reduce__(self) -> tuple[Any, ...]:
        return ArrowRows, (self.path,)
