"""Writers of result rows; the file's ending determines the form. Torch-free."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from tp_core.cli.output import is_stream
from tp_core.cli.parquet_rows import ParquetRows
from tp_core.errors import TPError

#: Ending of a file → form.
FORMS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".tsv": "tsv", ".csv": "csv", ".parquet": "parquet", ".txt": "txt"}

Row = dict[str, Any]

#: Fields with several numbers → beginning of the names of their columns in a table.
_COLUMNS = {"probabilities": "probability", "values": "value"}


class RowFile(Protocol):
    """A writer of rows to a file or a pipe."""

    def write(self, row: Row) -> None:
        """Add a row."""

    def close(self) -> None:
        """Write the end of the form, and leave the file open."""


def form_of_output(output: str, form: str | None, allowed: Sequence[str]) -> str:
    """The form of a file to write.

    Args:
        output: path of the file. A pipe without an ending gets JSON lines.
        form: the form that the user gives, which overrides the ending; None if not given.
        allowed: some of the values of :data:`FORMS`.

    Raises:
        TPError: the ending is none of the allowed forms.
    """
    found = form or FORMS.get(Path(output).suffix.lower())
    if found is None and is_stream(Path(output)) and not Path(output).suffix:
        found = "jsonl"
    if found is None or found not in allowed:
        endings = [next(ending for ending, named in FORMS.items() if named == each) for each in allowed]
        names = f"{', '.join(endings[:-1])} or {endings[-1]}" if endings[1:] else endings[0]
        raise TPError(f"--output {output}: expected a name that ends in {names}, or - for the standard output")
    return found


def is_binary(form: str) -> bool:
    return form == "parquet"


@contextlib.contextmanager
def row_file(
    file: IO[Any], path: Path, form: str, errors: bool = False, same_classes: bool = True
) -> Iterator[RowFile]:
    """A context with a writer of rows. The writer finishes the file unless the block fails.

    Args:
        file: a file open for writing, binary if the form is binary (:func:`is_binary`), else text.
        path: path of the file or the pipe.
        form: a value of :data:`FORMS`.
        errors: True if some rows may have an ``error`` instead of results.
        same_classes: True if the ``probabilities`` of all rows are those of the same classes.
    """
    with contextlib.ExitStack() as stack:
        if form == "parquet":
            # The temporary files lie beside the output, where the disk has room.
            folder = None if is_stream(path) else path.parent
            waiting, whole = (stack.enter_context(tempfile.TemporaryFile(dir=folder)) for _ in range(2))
            made: RowFile = ParquetRows(file, waiting, whole)
        elif form in ("tsv", "csv"):
            made = TableRows(file, form, errors, same_classes)
        else:
            made = TextRows(file) if form == "txt" else JsonRows(file)
        yield made
        made.close()


class JsonRows:
    """One JSON object per line."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, row: Row) -> None:
        self._file.write(as_json(row) + "\n")

    def close(self) -> None:
        pass


class TextRows:
    """A text file with the ``text`` of each row on its own line."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, row: Row) -> None:
        self._file.write(" ".join(row["text"].splitlines()) + "\n")

    def close(self) -> None:
        pass


class TableRows:
    """A TSV or CSV file. The first row with results determines the header; nested values are JSON.

    The cells of a record that could not be used are empty.

    Args:
        form: ``tsv``, whose cells have no tabs and line ends, or ``csv``.
        errors: True to add a column for the ``error`` of such records.
        same_classes: True to write the probability of each class into a column of its own.
    """

    def __init__(self, file: IO[str], form: str, errors: bool, same_classes: bool) -> None:
        self._file, self._tabs, self._errors, self._same_classes = file, form == "tsv", errors, same_classes
        self._csv = csv.writer(file, lineterminator="\n")
        self._names: list[str] = []
        self._before: list[Row] = []  # rows without results before the first row with results

    def write(self, row: Row) -> None:
        flat = _flat(row, self._same_classes)
        if self._names:
            self._write(flat)
        elif "error" in flat:
            self._before.append(flat)
        else:
            self._begin([*flat, "error"] if self._errors else list(flat))
            self._write(flat)

    def close(self) -> None:
        if self._before and not self._names:
            self._begin(list(self._before[0]))

    def _begin(self, names: list[str]) -> None:
        self._names = names
        self._line(names)
        for row in self._before:
            self._write(row)

    def _write(self, row: Row) -> None:
        unknown = [name for name in row if name not in self._names]
        if unknown:
            place = f"row {row['row']}" if "row" in row else "a row"
            raise TPError(f"{place} has '{unknown[0]}', which the rows before lack; write JSON lines instead")
        self._line([_cell(name, row.get(name)) for name in self._names])

    def _line(self, cells: list[str]) -> None:
        if self._tabs:
            self._file.write("\t".join(" ".join(re.split(r"[\t\r\n]", cell)) for cell in cells) + "\n")
        else:
            self._csv.writerow(cells)


def _flat(row: Row, same_classes: bool) -> Row:
    """A row with one column per class probability and per predicted value, and JSON for other nested values."""
    flat: Row = {}
    for name, value in row.items():
        if name in _COLUMNS and isinstance(value, (list, dict)) and (same_classes or name != "probabilities"):
            parts = value.items() if isinstance(value, dict) else enumerate(value)
            flat |= {f"{_COLUMNS[name]}_{each}": number for each, number in parts}
        else:
            flat[name] = as_json(value) if isinstance(value, (list, dict, bool)) else value
    return flat


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        raise _bytes(name)
    made_here = isinstance(value, float) and not name.startswith("input_")
    return f"{value:.6f}" if made_here else str(value)


def as_json(value: Any) -> str:
    """A value as JSON. Dates and the like become texts. A number that is not finite becomes null, as JSON lacks it.

    Raises:
        TPError: the value contains bytes.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, default=_plain)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise _bytes("")
    return str(value)


def _bytes(name: str) -> TPError:
    what = f"'{name}' holds bytes" if name else "a field holds bytes"
    return TPError(f"{what}, which no text can hold; write a .parquet instead")
