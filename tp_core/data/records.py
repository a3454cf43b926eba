"""Records of training data, whatever form they are kept in.

=====================================  ====================================================================
``.txt``, no or any other extension    one record ``{"text": line}`` per line, blank lines included
``.jsonl``, ``.ndjson``, ``.json``     one JSON object per line; a ``.json`` file may hold one list of objects
``.tsv``                               a header line names the columns; cells are what stands between tabs
``.csv``                               a header line names the columns; quoted cells may span lines
``.parquet``                           one record per row
``.tar``, ``.tgz``                     web dataset: one record for the members of one name (``7.jpg``, ``7.txt``)
pictures, recordings                   one record ``{"image": path}`` or ``{"audio": path}`` per file, and as its
                                       ``label`` a folder inside the one that is named
folder                                 the files of these forms inside that are read, sorted; or a saved dataset
``hf://name[/config][:split]``         a dataset of the Hugging Face hub; the split is ``train`` if not named
=====================================  ====================================================================

Text in any of these is UTF-8 and may be compressed with gzip (``.gz``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import Any

from tp_core.data.folder_rules import ANY_FORM, FolderRules
from tp_core.data.passed_over import PassedOver
from tp_core.data.sources_arrow import arrow_records
from tp_core.data.sources_bad import BadRecords
from tp_core.data.sources_columns import NewColumns, plan_columns
from tp_core.data.sources_find import MEDIA, Source
from tp_core.data.sources_fingerprint import fingerprint
from tp_core.data.sources_json import json_records
from tp_core.data.sources_listing import listed_records
from tp_core.data.sources_media import media_records
from tp_core.data.sources_paths import find_sources
from tp_core.data.sources_shards import tar_records
from tp_core.data.sources_table import table_records
from tp_core.data.sources_text import line_runs
from tp_core.errors import DataError
from tp_core.interfaces import Record

__all__ = ["BadRecords", "Records", "TextRun", "fingerprint", "read_records"]

_SAME_NAMES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class TextRun:
    """Lines of plain text that stand for one record each, before they are made into records.

    Attributes:
        file: where they stand.
        first: number of the first line.
        lines: the lines, without their ends.
        fields: the fields of each record, all of which hold the line.
    """

    file: str
    first: int
    lines: list[str]
    fields: list[str]

    def __iter__(self) -> Iterator[Record]:
        for line, text in enumerate(self.lines, self.first):
            yield Record(dict.fromkeys(self.fields, text), self.file, line)


class Records(Iterator[Record]):
    """Records in order.

    Attributes:
        parts: the same records, to be iterated over instead: each part is a run of lines of plain text or an
            iterable of other records. Who wants the lines only saves the time to make records of them.
        bad: receives the errors of records that cannot be read, while they are iterated over.
        passed: counts what of folders and shards is no record; of shards, while they are iterated over.
    """

    def __init__(self, parts: Iterator[Iterable[Record]], bad: BadRecords, passed: PassedOver) -> None:
        self.parts, self.bad, self.passed = parts, bad, passed
        self._flat = chain.from_iterable(parts)

    def __next__(self) -> Record:
        return next(self._flat)

    def with_errors(self) -> Iterator[Record | DataError]:
        """The records, and in the places of those that cannot be read their errors.

        It is for who reads ahead, and is to hand these errors to :attr:`bad` in their turn. What is fatal is raised.
        """
        end: Exception | None = None
        while end is None:
            record: Record | None = None
            with self.bad.held() as errors:
                try:
                    record = next(self._flat)
                except Exception as error:
                    end = error
            yield from errors
            if record is not None:
                yield record
        if not isinstance(end, StopIteration):
            raise end


def read_records(
    paths: list[str],
    columns: Mapping[str, str] = _SAME_NAMES,
    bad: BadRecords | None = None,
    form: str | None = None,
    rules: FolderRules = ANY_FORM,
) -> Records:
    """The records of files, folders and hub datasets, in order, in constant memory.

    Args:
        paths: files, folders and ``hf://`` names.
        columns: field that the processor reads → column of the file; other columns keep their names.
        bad: decides what happens to a record that cannot be read; by default it is fatal.
        form: of all files, whatever their names say.
        rules: what of folders and shards is read.

    Returns:
        An iterator of records. Their line is that of the record's first line; in forms without lines, the row
        number.

    Raises:
        DataError: at once for a path that does not exist; while iterating for a file that cannot be read as
            its form, a column that is missing, or a bad record when those are fatal.
        TPError: while iterating, when a Hugging Face dataset cannot be loaded.
    """
    passed = PassedOver()
    sources = find_sources(paths, rules, passed)
    if form is not None:
        sources = [source._replace(form=form) for source in sources]
    return source_records(sources, columns, BadRecords() if bad is None else bad, rules, passed)


def source_records(
    sources: Iterable[Source], columns: Mapping[str, str], bad: BadRecords, rules: FolderRules, passed: PassedOver
) -> Records:
    """The records of sources, in order, as :func:`read_records` says."""
    parts = (part for source in sources for part in _parts(source, columns, bad, rules, passed))
    return Records(parts, bad, passed)


def _parts(
    source: Source, columns: Mapping[str, str], bad: BadRecords, rules: FolderRules, passed: PassedOver
) -> Iterator[Iterable[Record]]:
    if source.form != "text":
        yield _read(source, columns, bad, rules, passed)
        return
    fields = _text_fields(source, columns)
    for first, lines in line_runs(source, bad):
        yield TextRun(source.path, first, lines, fields)


def _read(
    source: Source, columns: Mapping[str, str], bad: BadRecords, rules: FolderRules, passed: PassedOver
) -> Iterator[Record]:
    file = source.path
    rows: Iterator[tuple[int, dict[str, Any]]]
    if source.lists is not None:
        listed = listed_records(source, rules, bad, passed)
        rows = _renamed(listed, file, NewColumns(columns, columns), bad)
    elif source.form in ("tsv", "csv"):
        rows = table_records(source, columns, bad)
    elif source.form in ("json", "jsonl"):
        rows = _renamed(json_records(source, bad), file, columns, bad)
    elif source.form in MEDIA:
        rows = _renamed(media_records(source), file, NewColumns(columns, columns), bad)
    elif source.form == "tar":
        rows = _renamed(tar_records(source, rules, bad, passed), file, columns, bad)
    else:
        rows = arrow_records(source, columns, bad)
    for line, value in rows:
        yield Record(value, file, line)


def _text_fields(source: Source, columns: Mapping[str, str]) -> list[str]:
    if isinstance(columns, NewColumns) and "text" not in columns.values():
        return ["text"]
    try:
        return [field for field, _ in plan_columns(["text"], columns)]
    except DataError as error:
        raise DataError(f"{error}; plain text has this column only", file=source.path) from None


def _renamed(
    rows: Iterator[tuple[int, dict[str, Any]]], file: str, columns: Mapping[str, str], bad: BadRecords
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each JSON object has keys of its own, so each is checked on its own."""
    if not columns:
        yield from rows
        return
    for line, value in rows:
        try:
            plan = plan_columns(value, columns)
        except DataError as error:
            bad.report(DataError(str(error), file=file, line=line))
            continue
        yield line, {field: value[name] for field, name in plan}
