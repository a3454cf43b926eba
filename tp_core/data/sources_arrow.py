"""Rows of Parquet and Arrow files, saved Hugging Face datasets and datasets of the hub. Torch-free.

All are read as Arrow record batches, a few hundred rows at a time; images and audio stay undecoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tp_core.data.arrow_cells import cells_of, class_names, first_line, named_class
from tp_core.data.sources_bad import BadRecords
from tp_core.data.sources_columns import MOST_COLUMNS, plan_columns
from tp_core.data.sources_find import HUB, Source
from tp_core.errors import DataError, TPError

_ROWS = 256


def arrow_records(source: Source, columns: Mapping[str, str], bad: BadRecords) -> Iterator[tuple[int, dict[str, Any]]]:
    """Row number (from 1) and values by field.

    Classes of Hugging Face's ``ClassLabel`` are :class:`~tp_core.data.class_names.NamedClass`.

    Raises:
        DataError: a damaged file, one of too many columns or that lacks a column of ``columns``, or ``bad`` says that
            a row is fatal.
        TPError: the ``datasets`` library is needed and missing, or a dataset cannot be loaded.
    """
    row = 1
    read = {"parquet": _parquet_batches, "arrow": _ipc_batches}.get(source.form, _dataset_batches)
    for batch in read(source):
        names = batch.schema.names
        if len(names) > MOST_COLUMNS:
            message = f"the table has {len(names):,} columns; at most {MOST_COLUMNS:,} are read"
            bad.report(DataError(message, file=source.path))
            return
        if len({*names}) < len(names):
            twice = min(name for name in names if names.count(name) > 1)
            raise DataError(f"two columns are named '{twice}'", file=source.path)
        try:
            plan = plan_columns(names, columns)
        except DataError as error:
            raise DataError(str(error), file=source.path) from None
        classes = class_names(batch.schema.metadata)
        errors: dict[int, DataError] = {}
        values = []
        for _, name in plan:
            cells = cells_of(batch.column(name), name, source.path, row, errors)
            known = classes.get(name)
            values.append(cells if known is None else [named_class(cell, known) for cell in cells])
        fields = [field for field, _ in plan]
        for found in zip(*values):
            if row in errors:
                bad.report(errors[row])
            else:
                yield row, dict(zip(fields, found))
            row += 1


def parquet_columns(path: str) -> dict[str, bool]:
    """The columns of a Parquet file, and whether they hold bytes: as such, or as Hugging Face keeps them.

    Raises:
        DataError: it cannot be read.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        schema = pyarrow.parquet.read_schema(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"not a Parquet file that can be read: {first_line(error)}", file=path) from error
    kinds = pyarrow.types
    return {
        field.name: any(kinds.is_binary(each) or kinds.is_large_binary(each) for each in _flat(field.type))
        for field in schema
    }


def _flat(kind: Any) -> list[Any]:
    """A type, and those that a struct has inside."""
    import pyarrow

    inside = range(kind.num_fields) if pyarrow.types.is_struct(kind) else ()
    return [kind, *(kind.field(index).type for index in inside)]


def dataset_identity(source: Source) -> str:
    """A string that changes with the contents of a dataset of the hub."""
    return str(_load(source)._fingerprint)


def _parquet_batches(source: Source) -> Iterator[Any]:
    import pyarrow
    import pyarrow.parquet

    if source.compressed:
        raise DataError("a Parquet file is compressed inside; unpack it with gunzip", file=source.path)
    try:
        with pyarrow.parquet.ParquetFile(source.path) as file:
            yield from file.iter_batches(batch_size=_ROWS)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"not a Parquet file that can be read: {first_line(error)}", file=source.path) from error


def _ipc_batches(source: Source) -> Iterator[Any]:
    """Batches of an Arrow file (Feather is one), or of a stream, as which ``datasets`` keeps its shards."""
    import pyarrow
    import pyarrow.ipc

    if source.compressed:
        raise DataError("an Arrow file is compressed inside; unpack it with gunzip", file=source.path)
    try:
        with pyarrow.memory_map(source.path) as file:
            is_file = file.read(6) == b"ARROW1"
            file.seek(0)
            if is_file:
                reader = pyarrow.ipc.open_file(file)
                batches = map(reader.get_batch, range(reader.num_record_batches))
            else:
                batches = iter(pyarrow.ipc.open_stream(file))
            for batch in batches:  # of any size
                yield from (batch.slice(first, _ROWS) for first in range(0, batch.num_rows, _ROWS))
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"not an Arrow file that can be read: {first_line(error)}", file=source.path) from error


def _dataset_batches(source: Source) -> Iterator[Any]:
    dataset = _load(source)
    yield from dataset.with_format("arrow").iter(batch_size=_ROWS)


def _load(source: Source) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise TPError(
            f"{source.path}: a Hugging Face dataset needs the 'datasets' library: pip install tp-core[hub]"
        ) from error
    if source.form == "hub":
        return _load_from_hub(source.path, datasets)
    try:
        return datasets.load_from_disk(source.path)
    except Exception as error:  # the library raises whatever its readers do
        raise DataError(f"cannot be read as a saved dataset: {first_line(error)}", file=source.path) from error


def parse_hub_name(path: str) -> tuple[list[tuple[str, str | None]], str]:
    """What ``hf://name[/config][:split]`` may mean: pairs of dataset and configuration to try, and the split.

    Most names have an owner, so ``hf://a/b`` is first dataset ``a/b`` and then configuration ``b`` of ``a``.

    Raises:
        TPError: a name of another form.
    """
    name, _, split = path.removeprefix(HUB).partition(":")
    parts = name.split("/")
    if not all(parts) or len(parts) > 3:
        raise TPError(f"{path}: expected hf://name[/config][:split], for example hf://nyu-mll/glue/mrpc:train")
    readings: list[tuple[str, str | None]] = [(name, None)]
    if len(parts) == 2:
        readings.append((parts[0], parts[1]))
    elif len(parts) == 3:
        readings = [("/".join(parts[:2]), parts[2])]
    return readings, split or "train"


def _load_from_hub(path: str, datasets: Any) -> Any:
    readings, split = parse_hub_name(path)
    first: Exception | None = None
    for name, config in readings:
        try:
            return datasets.load_dataset(name, config, split=split)
        except datasets.exceptions.DatasetNotFoundError as error:
            first = first or error
        except Exception as error:  # network, builder and format errors of many kinds
            first = first or error
            break
    assert first is not None
    raise TPError(f"{path}: cannot be loaded from the Hugging Face hub: {first_line(first)}") from first
