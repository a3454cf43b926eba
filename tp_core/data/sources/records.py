"""Reading of records from data of all formats.

=====================================  ====================================================================
``.txt``, no or any other extension    one record ``{"text": line}`` per line, blank lines included
``.jsonl``, ``.ndjson``, ``.json``     one JSON object per line; a ``.json`` file may hold one list of objects
``.tsv``                               a header line names the columns; cells are separated by tabs
``.csv``                               a header line names the columns; quoted cells may span lines
``.parquet``                           one record per row
``.tar``, ``.tgz``                     web dataset: one record for the members of one name (``7.jpg``, ``7.txt``)
pictures, recordings                   one record ``{"image": path}`` or ``{"audio": path}`` per file; its ``label``
                                       is a folder inside the given folder
``.trans.txt``                         LibriSpeech: one record ``{"audio": path, "text": ..., "id": ...}`` per line, if
                                       recordings with texts are read
folder                                 the files inside that have one of these forms, sorted; or a saved dataset
``hf://name[/config][:split]``         a dataset of the Hugging Face hub; the split is ``train`` if not named
=====================================  ====================================================================

Text in any of these is UTF-8 and may be compressed with gzip (``.gz``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from types import MappingProxyType

from tp_core.data.sources.bad import BadRecords
from tp_core.data.sources.base import Reading, Source
from tp_core.data.sources.find import find_sources
from tp_core.data.sources.folder_rules import ANY_FORM, FolderRules
from tp_core.data.sources.passed_over import PassedOver
from tp_core.errors import DataError
from tp_core.interfaces.record import Record
from tp_core.spec.sections.data import Given

__all__ = ["BadRecords", "Records", "read_records"]

_SAME_NAMES: Mapping[str, str] = MappingProxyType({})


class Records(Iterator[Record]):
    """Records in order.

    Attributes:
        parts: the same records in parts, as an alternative iterator. Each part is a run of lines of plain text
            (:class:`tp_core.data.sources.text.TextRun`) or an iterable of other records. This is faster if only the
            lines are needed, as no records are made from them.
        bad: receives the errors of records that cannot be read, during the iteration.
        passed: counts the skipped items of folders and shards. Those of shards are counted during the iteration.
    """

    def __init__(self, parts: Iterator[Iterable[Record]], bad: BadRecords, passed: PassedOver) -> None:
        self.parts, self.bad, self.passed = parts, bad, passed
        self._flat = chain.from_iterable(parts)

    def __next__(self) -> Record:
        return next(self._flat)

    def with_errors(self) -> Iterator[Record | DataError]:
        """The records, with the error in the place of each record that cannot be read.

        Use it to read ahead, and pass these errors to :attr:`bad` in order. Fatal errors are raised.
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
    given: Sequence[Given],
    columns: Mapping[str, str] = _SAME_NAMES,
    bad: BadRecords | None = None,
    form: str | None = None,
    rules: FolderRules = ANY_FORM,
) -> Records:
    """The records of files, folders, hub datasets and chosen sources, in order, in constant memory.

    Args:
        given: files, folders, ``hf://`` names and choices of sources.
        columns: field that the processor reads → column of the file; other columns keep their names.
        bad: decides what happens to a record that cannot be read; by default it is fatal.
        form: form of all files that are given by their paths; overrides their endings.
        rules: rules for the files of folders and the members of shards.

    Returns:
        An iterator of records. The ``line`` of a record is the number of its first line, or of its row in forms without
        lines.

    Raises:
        DataError: at once if a path does not exist; during the iteration if a file cannot be read in its form, a column
            is missing, or a bad record is fatal.
        TPError: during the iteration if a Hugging Face dataset cannot be loaded.
    """
    passed = PassedOver()
    sources = find_sources(given, rules, passed, form)
    return source_records(sources, columns, BadRecords() if bad is None else bad, rules, passed)


def source_records(
    sources: Iterable[Source], columns: Mapping[str, str], bad: BadRecords, rules: FolderRules, passed: PassedOver
) -> Records:
    """The records of sources, in order; see :func:`read_records`."""
    reading = Reading(columns, bad, rules, passed)
    return Records((part for source in sources for part in source.read(reading)), bad, passed)
