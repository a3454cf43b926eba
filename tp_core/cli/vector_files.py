"""Writers of vectors to files; vectors are written as soon as they are computed."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tp_core.cli.row_files import as_json
from tp_core.errors import DataError
from tp_core.interfaces import Record

#: Name of the vector column in a Parquet file.
VECTORS = "embedding"

#: Number of records whose fields are examined together.
_CHUNK = 4096

#: Approximate number of bytes of vectors in one row group of a Parquet file.
_ROW_GROUP = 1 << 26


class VectorFile(Protocol):
    """A writer of vectors to a file that is open for writing: text for JSON lines, else binary."""

    def write(self, records: list[Record], vectors: NDArray[np.float32]) -> None:
        """Add vectors (records, size)."""

    def close(self) -> None:
        """Write the remaining vectors and the end of the form; the file stays open."""


class NpyFile:
    """A NumPy file, in the format of ``numpy.save``.

    Args:
        size: numbers per vector.
    """

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._size, self._rows = file, size, 0
        self._header()

    def _header(self) -> None:
        """Write the header. NumPy leaves room in it for any number of rows."""
        shape = (self._rows, self._size)
        header = {"descr": np.dtype(np.float32).str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)

    def write(self, records: list[Record], vectors: NDArray[np.float32]) -> None:
        self._file.write(np.ascontiguousarray(vectors).data)
        self._rows += len(vectors)

    def close(self) -> None:
        self._file.seek(0)
        self._header()


class JsonFile:
    """A file with one JSON object per line: the number of the record, counted from 1, and its vector."""

    def __init__(self, file: IO[str]) -> None:
        self._file, self._rows = file, 0

    def write(self, records: list[Record], vectors: NDArray[np.float32]) -> None:
        for row, vector in enumerate(vectors.tolist(), self._rows + 1):
            self._file.write(as_json({"row": row, VECTORS: vector}) + "\n")
        self._rows += len(vectors)

    def close(self) -> None:
        pass


class ParquetFile:
    """A Parquet file with the fields of the records and a column of vectors.

    Args:
        size: numbers per vector.
        fields: the types of the fields (:func:`field_types`).
    """

    def __init__(self, file: IO[bytes], size: int, fields: Any) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._fields = fields
        self._schema = fields.append(pa.field(VECTORS, pa.list_(pa.float32(), size)))
        self._writer = pq.ParquetWriter(file, self._schema)
        self._waiting: list[Any] = []
        self._bytes = 0

    def write(self, records: list[Record], vectors: NDArray[np.float32]) -> None:
        import pyarrow as pa

        columns = [column(records, field.name, field.type) for field in self._fields]
        columns.append(pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1]))
        self._waiting.append(pa.table(columns, self._schema))
        self._bytes += vectors.nbytes
        if self._bytes >= _ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
        self._waiting, self._bytes = [], 0

    def close(self) -> None:
        try:
            self._flush()
            self._writer.close()
        finally:
            self._writer.is_open = False  # otherwise, the writer would close again when it is garbage collected


def column(records: list[Record], name: str, kind: Any = None) -> Any:
    """A field of records as a column of a table. By default, its type is inferred from the values.

    Raises:
        DataError: the values are of several types, or not valid Unicode.
    """
    import pyarrow as pa

    try:
        return pa.array([record.value.get(name) for record in records], kind)
    except (pa.ArrowException, UnicodeError, TypeError, OverflowError) as error:
        raise _no_column(name, error, records[0].file) from error


def field_types(records: Iterable[Record]) -> Any:
    """The Arrow schema of records: their fields, with types that fit all their values.

    Raises:
        DataError: the values of a field are of several types, or not valid Unicode; or a field is called
            ``embedding``.
    """
    import pyarrow as pa

    found: dict[str, Any] = {}
    source = iter(records)
    while chunk := list(islice(source, _CHUNK)):
        for name in dict.fromkeys(name for record in chunk for name in record.value):
            if name == VECTORS:
                message = f"the field '{name}' has the name of the vectors; --column OTHER={name} renames it"
                raise DataError(message, file=chunk[0].file)
            seen = pa.field(name, column(chunk, name).type)
            try:
                both = [pa.schema([found.get(name, seen)]), pa.schema([seen])]
                found[name] = pa.unify_schemas(both, promote_options="permissive").field(0)
            except pa.ArrowException as error:
                raise _no_column(name, error, chunk[0].file) from error
    return pa.schema(list(found.values()))


def _no_column(name: str, error: Exception, file: str) -> DataError:
    return DataError(
        f"the field '{name}' cannot be a column of a Parquet file: {error}; write a .npy instead", file=file
    )
