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
        parts: the same records, to be iterated over instead: each part is a run of lines of plain text
            (:class:`tp_core.data.sources.text.TextRun`) or an iterable of other records. Who wants the lines only
            saves the time to make records of them.
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
        form: of all files that are named by their paths, whatever their names say.
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
    sources = find_sources(given, rules, passed, form)
    return source_records(sources, columns, BadRecords() if bad is None else bad, rules, passed)


def source_records(
    sources: Iterable[Source], columns: Mapping[str, str], bad: BadRecords, rules: FolderRules, passed: PassedOver
) -> Records:
    """The records of sources, in order, as :func:`read_records` says."""
    reading = Reading(columns, bad, rules, passed)
    return Records((part for source in sources for part in source.read(reading)), bad, passed)
