"""Rows of TSV and CSV files whose first line names the columns. Torch-free."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping

from tp_core.data.sources_bad import BadRecords
from tp_core.data.sources_columns import plan_columns
from tp_core.data.sources_find import Source
from tp_core.data.sources_text import line_runs
from tp_core.errors import DataError

#: Cells may hold whole documents; the csv module's own limit is 128 KiB, for the process.
_CELL_LIMIT = 2**31 - 1


def table_records(source: Source, columns: Mapping[str, str], bad: BadRecords) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number (of a row's first line) and cells by field; empty lines are no rows.

    Raises:
        DataError: the header is missing or lacks a column of ``columns``, or ``bad`` says that a row is
            fatal.
    """
    rows = _csv_rows(source, bad) if source.form == "csv" else _tsv_rows(source, bad)
    line, header = next(rows, (1, [""]))
    if line != 1 or header == [""]:
        raise DataError("the first line must name the columns", file=source.path, line=1)
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        raise DataError(f"two columns are named '{min(twice)}'", file=source.path, line=1)
    try:
        plan = plan_columns(header, columns)
    except DataError as error:
        raise DataError(str(error), file=source.path, line=1) from None
    width = len(header)
    fields = [(field, header.index(name)) for field, name in plan]
    for line, cells in rows:
        if len(cells) == width:
            yield line, {field: cells[index] for field, index in fields}
        elif cells not in ([], [""]):
            message = f"expected {width} columns ({', '.join(header)}), found {len(cells)}"
            bad.report(DataError(message, file=source.path, line=line))


def _tsv_rows(source: Source, bad: BadRecords) -> Iterator[tuple[int, list[str]]]:
    """Cells between tabs, as they are: quotes mean nothing, as in the files of GLUE."""
    for first, lines in line_runs(source, bad):
        for number, line in enumerate(lines, first):
            yield number, line.split("\t")


def _csv_rows(source: Source, bad: BadRecords) -> Iterator[tuple[int, list[str]]]:
    begin, ended = 0, False

    def feed() -> Iterator[str]:
        nonlocal begin, ended
        for first, lines in line_runs(source, bad):
            for number, line in enumerate(lines, first):
                begin = begin or number
                yield line + "\n"
        ended = True

    reader = csv.reader(feed(), strict=True)
    while True:
        begin = 0
        try:
            cells = _next_row(reader)
        except StopIteration:
            return
        except csv.Error as error:
            message = "a quoted cell that begins here is not closed" if ended else f"not valid CSV: {error}"
            bad.report(DataError(message, file=source.path, line=begin))
            continue
        yield begin, cells


def _next_row(reader: Iterator[list[str]]) -> list[str]:
    """The next row, of cells of any length; the limit is the process's, and other code keeps its own."""
    before = csv.field_size_limit(_CELL_LIMIT)
    try:
        return next(reader)
    finally:
        csv.field_size_limit(before)
