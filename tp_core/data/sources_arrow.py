"""Rows of Parquet and Arrow files, saved Hugging Face datasets and datasets of the hub. Torch-free.

All are read as Arrow record batches, a few hundred rows at a time; images and audio stay undecoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tp_core.data.sources_columns import plan_columns
from tp_core.data.sources_find import HUB, Source
from tp_core.errors import DataError, TPError

_ROWS = 256


def arrow_records(source: Source, columns: Mapping[str, str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Row number (from 1) and values by field.

    Raises:
        DataError: a damaged file, or one that lacks a column of ``columns``.
        TPError: the ``datasets`` library is needed and missing, or a dataset cannot be loaded.
    """
    row = 1
    read = {"parquet": _parquet_batches, "arrow": _ipc_batches}.get(source.form, _dataset_batches)
    for batch in read(source):
        try:
            plan = plan_columns(batch.schema.names, columns)
        except DataError as error:
            raise DataError(str(error), file=source.path) from None
        values = [batch.column(name).to_pylist() for _, name in plan]
        fields = [field for field, _ in plan]
        for cells in zip(*values):
            yield row, dict(zip(fields, cells))
            row += 1


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
        raise DataError(f"not a Parquet file that can be read: {_first_line(error)}", file=source.path) from error


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
        raise DataError(f"not an Arrow file that can be read: {_first_line(error)}", file=source.path) from error


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
        raise DataError(f"cannot be read as a saved dataset: {_first_line(error)}", file=source.path) from error


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
    raise TPError(f"{path}: cannot be loaded from the Hugging Face hub: {_first_line(first)}") from first


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
