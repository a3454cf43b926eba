"""Rows in a Parquet file, whose column types are known only after the last row. Torch-free."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import IO, Any

from tp_core.errors import TPError

#: Number of rows in one row group.
_CHUNK = 4096


class ParquetRows:
    """A Parquet file of rows with any columns, written in constant memory.

    Rows are first written to a temporary file. The type of a column is the one that fits all its values.

    Args:
        file: open for binary writing; it may be a pipe.
        waiting: a temporary file.
        whole: another temporary file, as Parquet needs a position in the file, which pipes do not have.
    """

    def __init__(self, file: IO[bytes], waiting: IO[bytes], whole: IO[bytes]) -> None:
        self._file, self._waiting, self._whole = file, waiting, whole
        self._rows: list[dict[str, Any]] = []
        self._schema: Any = None
        self._lengths: list[int] = []

    def write(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) == _CHUNK:
            self._put_aside()

    def close(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._put_aside()
        schema = pa.schema([]) if self._schema is None else self._schema
        with pq.ParquetWriter(self._whole, schema) as writer:
            for table in self._tables():
                writer.write_table(_of_schema(table, schema))
        self._whole.seek(0)
        shutil.copyfileobj(self._whole, self._file)

    def _put_aside(self) -> None:
        import pyarrow as pa

        if not self._rows:
            return
        names = dict.fromkeys(name for row in self._rows for name in row)
        arrays = [_column(name, [row.get(name) for row in self._rows]) for name in names]
        table = pa.table(arrays, list(names))
        self._schema = table.schema if self._schema is None else _joined(self._schema, table.schema)
        before = self._waiting.tell()
        with pa.ipc.new_stream(self._waiting, table.schema) as stream:
            stream.write_table(table)
        self._lengths.append(self._waiting.tell() - before)
        self._rows = []

    def _tables(self) -> Iterator[Any]:
        import pyarrow as pa

        self._waiting.seek(0)
        for length in self._lengths:
            yield pa.ipc.open_stream(self._waiting.read(length)).read_all()


def _column(name: str, values: list[Any], kind: Any = None) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values, kind)
    except (pa.ArrowException, UnicodeError, TypeError, OverflowError) as error:
        raise _no_column(name, error) from error


def _joined(one: Any, other: Any) -> Any:
    """The schema with the columns of two schemas and types that fit the values of both."""
    import pyarrow as pa

    fields = {field.name: field for field in one}
    for field in other:
        try:
            both = [pa.schema([fields.get(field.name, field)]), pa.schema([field])]
            fields[field.name] = pa.unify_schemas(both, promote_options="permissive").field(0)
        except pa.ArrowException as error:
            raise _no_column(field.name, error) from error
    return pa.schema(list(fields.values()))


def _of_schema(table: Any, schema: Any) -> Any:
    import pyarrow as pa

    columns = []
    for field in schema:
        if field.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, field.type))
        elif table.schema.field(field.name).type == field.type:
            columns.append(table.column(field.name))
        else:
            columns.append(_column(field.name, table.column(field.name).to_pylist(), field.type))
    return pa.table(columns, schema)


def _no_column(name: str, error: Exception) -> TPError:
    first = str(error).partition("\n")[0]
    return TPError(f"'{name}' cannot be a column of a Parquet file: {first}; write JSON lines instead")
