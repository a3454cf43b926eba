"""Prepared instances in one Arrow file, which is written as a stream and read at random from mapped memory.

Single numbers and arrays of no dimension are stored as a column of numbers. Bytes and arrays of one dimension are
stored as lists. Arrays of more dimensions are stored as a struct: a list of the numbers, and the shape. The metadata of
a field state its kind.
"""

from __future__ import annotations

import bisect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tp_core.data.cache.arrow_columns import ArrowColumn, arrow_field, layout_of, read_batches, stored
from tp_core.data.cache.cell_values import cells_of
from tp_core.data.cache.cells import Cells, Kind, UnusableCellError
from tp_core.errors import DataError
from tp_core.files.whole_files import draft, sync
from tp_core.interfaces import Rows

_LAYOUT = b"tp"

#: Arrow packs bool values into bits, so that NumPy cannot view them.
_STORED = {np.dtype(np.bool_): np.dtype(np.uint8)}


# -- NumPy and Arrow ---------------------------------------------------------------------------------------------------
# Arrays are converted through their buffers: pa.array() and to_numpy() import pandas if it is installed.


def write_rows(
    path: Path, chunks: Iterable[Mapping[str, Sequence[Any]]], kept: Callable[[Path], None] = lambda _: None
) -> int:
    """Write chunks of columns to an Arrow IPC file, atomically: the file gets its name when it is complete.

    :meth:`tp_core.interfaces.Processor.prepare` defines the cells. A column has one type. If a later chunk needs a
    wider type, the earlier rows are written again, so that cells do not depend on the division into chunks.

    Args:
        kept: called with the complete file before it gets its name, to store facts about it.

    Returns:
        The number of rows. If it is 0, no file is written.

    Raises:
        DataError: a cell cannot be stored exactly, or chunks do not fit together. The message names column, chunk, row.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with draft(path) as temporary:
        writer = _Writer(temporary)
        try:
            for number, chunk in enumerate(chunks):
                if any(len(values) for values in chunk.values()):
                    writer.add(chunk, number)
            if writer.finish():
                kept(temporary)
                os.replace(temporary, path)
                sync(path.parent)
        finally:
            writer.discard()
    return writer.rows


class _Writer:
    """A writer of an Arrow file.

    Args:
        path: temporary path of the file; a second file beside it is used as well.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.wider = path, path.with_name(f"{path.name}.wider")
        self.rows = 0
        self._kinds: dict[str, Kind] = {}
        self._chunks: list[int] = []  # the numbers of the chunks in the file
        self._file: Any = None
        self._writer: Any = None

    def add(self, chunk: Mapping[str, Sequence[Any]], number: int) -> None:
        """Write a chunk, which must have rows."""
        self._check_columns(chunk, number)
        names = self._kinds or chunk
        cells, kinds = dict[str, Cells](), dict[str, Kind]()
        for name in names:
            try:
                cells[name] = cells_of(chunk[name])
                kinds[name] = cells[name].kind
                if name in self._kinds:
                    kinds[name] = self._kinds[name].joined(kinds[name])
            except UnusableCellError as error:
                raise _refused(name, number, error) from None
        if self._writer is None:
            self._open(self.path, kinds)
        elif any(layout_of(kinds[name]) != layout_of(self._kinds[name]) for name in names):
            self._widen(kinds)
        self._kinds = kinds
        self._write(cells, kinds, number)
        self._chunks.append(number)
        self.rows += len(next(iter(cells.values())))

    def finish(self) -> bool:
        """Complete the file and flush it; False if there are no rows and therefore no file."""
        if self._writer is None:
            return False
        self._writer.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return True

    def discard(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # the file is deleted anyway
                self._file.close()

    def _check_columns(self, chunk: Mapping[str, Sequence[Any]], number: int) -> None:
        """Check that columns are lists of equal length and the same as in earlier chunks; else raise DataError."""
        for name, values in chunk.items():
            if not isinstance(values, (list, tuple)):
                message = f"is a value of the type {type(values).__name__}; expected a list with a cell for each row"
                raise DataError(f"prepared rows: column '{name}' of chunk {number} {message}")
        if len(set(map(len, chunk.values()))) > 1:
            counts = ", ".join(f"{len(values)} in '{name}'" for name, values in chunk.items())
            message = f"has columns of different lengths ({counts}); expected a cell for each row in each column"
            raise DataError(f"prepared rows: chunk {number} {message}")
        if self._kinds and chunk.keys() != self._kinds.keys():
            lacks = [name for name in self._kinds if name not in chunk]
            others = [name for name in chunk if name not in self._kinds]
            what = f"lacks the column '{lacks[0]}', which" if lacks else f"has the column '{others[0]}', which none of"
            message = f"{what} the chunks before {'have' if lacks else 'has'}; expected the same columns in each chunk"
            raise DataError(f"prepared rows: chunk {number} {message}")

    def _open(self, path: Path, kinds: Mapping[str, Kind]) -> None:
        schema = pa.schema([arrow_field(name, kind) for name, kind in kinds.items()])
        self._file = open(path, "wb")  # noqa: SIM115  (finish() and discard() close it)
        self._writer = pa.ipc.new_file(self._file, schema)

    def _write(self, cells: Mapping[str, Cells], kinds: Mapping[str, Kind], number: int) -> None:
        arrays, fields = [], [arrow_field(name, kind) for name, kind in kinds.items()]
        for (name, kind), field in zip(kinds.items(), fields):
            try:
                arrays.append(stored(cells[name].of_kind(kind), field))
            except UnusableCellError as error:
                raise _refused(name, number, error) from None
        self._writer.write_batch(pa.record_batch(arrays, schema=pa.schema(fields)))

    def _widen(self, kinds: Mapping[str, Kind]) -> None:
        """Write the rows of the file again, with these kinds."""
        self._writer.close()
        self._file.close()
        self._open(self.wider, kinds)
        for columns, number in zip(read_batches(self.path), self._chunks, strict=True):
            self._write({name: column.cells() for name, column in columns.items()}, kinds, number)
        os.replace(self.wider, self.path)


def _refused(name: str, chunk: int, error: UnusableCellError) -> DataError:
    place = f"column '{name}', row {error.row} of chunk {chunk} (from 0)"
    return DataError(f"prepared rows: {place} {error.found}; {error.advice}")


# -- reading -----------------------------------------------------------------------------------------------------------


class ArrowRows(Rows):
    """Rows of a memory-mapped Arrow IPC file. Arrays are views of the file; nothing is copied."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._starts: list[int] = []
        self._columns: list[dict[str, ArrowColumn]] = []
        self._length = 0
        for columns in read_batches(path):
            self._starts.append(self._length)
            self._columns.append(columns)
            self._length += len(next(iter(columns.values())))

    def __len__(self) -> int:
        return self._length

    def get(self, column: str, index: int) -> Any:
        if not 0 <= index < self._length:
            raise IndexError(f"row {index} of {self._length}")
        chunk = bisect.bisect_right(self._starts, index) - 1
        try:
            found = self._columns[chunk][column]
        except KeyError:
            raise self._unknown(column) from None
        return found.get(index - self._starts[chunk])

    def lengths(self, column: str) -> NDArray[np.int64]:
        found = self._each(column)
        if not all(each.kind.axes for each in found):
            raise DataError(f"prepared rows: column '{column}' has no lengths: its cells are single numbers")
        return np.concatenate([np.empty(0, np.int64), *(each.lengths() for each in found)])

    def integers(self, column: str) -> NDArray[np.int64]:
        found = self._each(column)
        for each in found:
            if each.kind.form != "number" or not np.can_cast(each.kind.dtype, np.int64):
                message = f"each cell is {each.kind} of {each.kind.dtype}; expected integers of at most 64 bits, signed"
                raise DataError(f"prepared rows: in column '{column}', {message}")
        return np.concatenate([np.empty(0, np.int64), *(each.numbers.astype(np.int64) for each in found)])

    def _each(self, column: str) -> list[ArrowColumn]:
        """The parts of a column, one per batch."""
        try:
            return [columns[column] for columns in self._columns]
        except KeyError:
            raise self._unknown(column) from None

    def _unknown(self, column: str) -> DataError:
        names = ", ".join(self._columns[0])
        return DataError(f"prepared rows: no column '{column}'; the columns are {names}")

    def __reduce__(self) -> tuple[Any, ...]:
        return ArrowRows, (self.path,)
