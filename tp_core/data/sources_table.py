"""Rows of TSV and CSV files whose first line names the columns. Torch-free."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from tp_core.data.sources_bad import BadRecords
from tp_core.data.sources_columns import MOST_COLUMNS, listed, plan_columns
from tp_core.data.sources_csv import csv_rows
from tp_core.data.sources_find import Source
from tp_core.data.sources_text import line_runs
from tp_core.errors import DataError


def table_records(source: Source, columns: Mapping[str, str], bad: BadRecords) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number (of a row's first line) and cells by field; empty lines are no rows.

    Raises:
        DataError: the header is missing, cannot be read, has too many columns or lacks one of ``columns``, or ``bad``
            says that a row is fatal.
    """
    rows = csv_rows(source, bad) if source.form == "csv" else tsv_rows(source, bad)
    with bad.held() as errors:
        line, header = next(rows, (1, [""]))
    if errors:
        raise errors[0]  # without a header, no row can be used
    if line != 1 or not any(header):
        raise DataError("the first line must name the columns", file=source.path, line=1)
    width = len(header)
    if width > MOST_COLUMNS:
        message = f"the table has {width:,} columns; at most {MOST_COLUMNS:,} are read"
        bad.report(DataError(message, file=source.path, line=1))
        return
    # Columns without a name, which programs of spreadsheets leave behind the others, are no fields.
    named = [(name, index) for index, name in enumerate(header) if name]
    places = dict(named)
    if len(places) < len(named):
        twice = min(name for name, count in Counter(name for name, _ in named).items() if count > 1)
        raise DataError(f"two columns are named '{twice}'", file=source.path, line=1)
    try:
        plan = plan_columns(places, columns)
    except DataError as error:
        raise DataError(str(error), file=source.path, line=1) from None
    fields = [(field, places[name]) for field, name in plan]
    for line, cells in rows:
        if len(cells) == width:
            yield line, {field: cells[index] for field, index in fields}
        elif cells not in ([], [""]):
            message = f"expected {width} columns ({listed(header)}), found {len(cells)}"
            bad.report(DataError(message, file=source.path, line=line))


def tsv_rows(source: Source, bad: BadRecords) -> Iterator[tuple[int, list[str]]]:
    """Cells between tabs, as they are: quotes mean nothing, as in the files of GLUE."""
    for first, lines in line_runs(source, bad):
        for number, line in enumerate(lines, first):
            yield number, line.split("\t")
