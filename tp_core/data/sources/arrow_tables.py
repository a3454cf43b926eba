"""Rows of Parquet and Arrow files. Torch-free.

Rows are read as Arrow record batches of a few hundred rows. Images and audio stay encoded.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

from tp_core.data.sources.arrow_cells import cells_of, class_names, first_line, named_class
from tp_core.data.sources.base import Reading
from tp_core.data.sources.columns import MOST_COLUMNS, plan_columns
from tp_core.data.sources.file import RowFile, Rows
from tp_core.errors import DataError

#: Number of rows in a batch.
ROWS = 256


class ArrowTable(RowFile):
    """Base of sources that are read as Arrow record batches."""

    @abstractmethod
    def batches(self) -> Iterator[Any]:
        """Record batches of a few hundred rows.

        Raises:
            DataError: the batches cannot be read.
        """

    def rows(self, reading: Reading) -> Rows:
        """The row number (from 1) and the values by field of each row.

        Classes of Hugging Face's ``ClassLabel`` become :class:`~tp_core.data.classes.names.NamedClass`.

        Raises:
            DataError: the file is damaged, has too many columns or lacks a required column, or a bad row is fatal.
        """
        row = 1
        for batch in self.batches():
            names = batch.schema.names
            if len(names) > MOST_COLUMNS:
                message = f"the table has {len(names):,} columns; at most {MOST_COLUMNS:,} are read"
                reading.bad.report(DataError(message, file=self.path))
                return
            if len({*names}) < len(names):
                twice = min(name for name in names if names.count(name) > 1)
                raise DataError(f"two columns are named '{twice}'", file=self.path)
            try:
                plan = plan_columns(names, reading.columns)
            except DataError as error:
                raise DataError(str(error), file=self.path) from None
            classes = class_names(batch.schema.metadata)
            errors: dict[int, DataError] = {}
            values = []
            for _, name in plan:
                cells = cells_of(batch.column(name), name, self.path, row, errors)
                known = classes.get(name)
                values.append(cells if known is None else [named_class(cell, known) for cell in cells])
            fields = [field for field, _ in plan]
            for found in zip(*values):
                if row in errors:
                    reading.bad.report(errors[row])
                else:
                    yield row, dict(zip(fields, found))
                row += 1


class ParquetFile(ArrowTable):
    """A Parquet file."""

    def batches(self) -> Iterator[Any]:
        import pyarrow
        import pyarrow.parquet

        if self.compressed:
            raise DataError("a Parquet file must not be compressed with gzip; unpack it with gunzip", file=self.path)
        try:
            with pyarrow.parquet.ParquetFile(self.path) as file:
                yield from file.iter_batches(batch_size=ROWS)
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"not a Parquet file that can be read: {first_line(error)}", file=self.path) from error

    def first_columns(self) -> dict[str, bool]:
        """The columns, and True for those with bytes, also for bytes in a struct, as Hugging Face stores them."""
        import pyarrow
        import pyarrow.parquet

        try:
            schema = pyarrow.parquet.read_schema(self.path)
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"not a Parquet file that can be read: {first_line(error)}", file=self.path) from error
        kinds = pyarrow.types
        return {
            field.name: any(kinds.is_binary(each) or kinds.is_large_binary(each) for each in _flat(field.type))
            for field in schema
        }


class ArrowFile(ArrowTable):
    """An Arrow file (also Feather) or an Arrow stream, such as the shards of ``datasets``."""

    def batches(self) -> Iterator[Any]:
        import pyarrow
        import pyarrow.ipc

        if self.compressed:
            raise DataError("an Arrow file must not be compressed with gzip; unpack it with gunzip", file=self.path)
        try:
            with pyarrow.memory_map(self.path) as file:
                is_file = file.read(6) == b"ARROW1"
                file.seek(0)
                if is_file:
                    reader = pyarrow.ipc.open_file(file)
                    batches = map(reader.get_batch, range(reader.num_record_batches))
                else:
                    batches = iter(pyarrow.ipc.open_stream(file))
                for batch in batches:  # the file determines their sizes
                    yield from (batch.slice(first, ROWS) for first in range(0, batch.num_rows, ROWS))
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"not an Arrow file that can be read: {first_line(error)}", file=self.path) from error


def _flat(kind: Any) -> list[Any]:
    """A type, and the types of the fields if it is a struct."""
    import pyarrow

    inside = range(kind.num_fields) if pyarrow.types.is_struct(kind) else ()
    return [kind, *(kind.field(index).type for index in inside)]
