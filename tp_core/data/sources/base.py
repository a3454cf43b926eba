"""The interface of sources, which a data format implements to provide its records. Torch-free."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from tp_core.data.cache.file_digests import files_inside
from tp_core.data.sources.bad import BadRecords
from tp_core.data.sources.columns import by_field, plan_columns
from tp_core.data.sources.folder_rules import FolderRules
from tp_core.data.sources.passed_over import PassedOver
from tp_core.errors import DataError
from tp_core.interfaces.record import Record, Report
from tp_core.options.marks import paths_in
from tp_core.packages.plugin_errors import expect, wrong_value

if TYPE_CHECKING:
    from tp_core.options.source import SourceConfig


class Reading(NamedTuple):
    """Settings and collectors for reading sources.

    Attributes:
        columns: field that the processor reads → column.
        bad: receives errors about records that cannot be read.
        rules: select the fields to read from files that have more.
        passed: counts the skipped files and members that are not records.
    """

    columns: Mapping[str, str]
    bad: BadRecords
    rules: FolderRules
    passed: PassedOver


class Source(ABC):
    """Base class of everything that provides records.

    A subclass yields records in :meth:`records`; the other methods have defaults.

    Args:
        config: the options.
    """

    #: True if fields of records may name files, such as pictures, whose contents are then part of the data.
    names_files: ClassVar[bool] = True
    #: True for a source that is a single record. If its file cannot be read, the record is bad, not the whole source.
    is_record: bool = False

    def __init__(self, config: SourceConfig) -> None:
        self.config = config

    @abstractmethod
    def records(self, report: Report) -> Iterator[Record]:
        """The records, always in the same order, in constant memory.

        Fields have the names of the columns. ``file`` and ``line`` of a record are for messages. A field that is a
        relative path is relative to the folder of ``file``.

        Args:
            report: receives a :class:`~tp_core.errors.DataError` with file and line for each record that cannot be
                used. It raises the error if such records are fatal. If it returns, continue with the next record.

        Raises:
            DataError: the source cannot be read any further.
        """

    def columns(self) -> Collection[str] | None:
        """The names of the fields that every record has, without reading all records; None if records differ.

        If the names are known, an unknown name in ``data.columns`` is reported at once.

        Raises:
            DataError: the source cannot be read.
        """
        return None

    def files(self) -> Iterable[str]:
        """The files whose contents determine the records: the files and the folders' files that options name."""
        return [file for path in self.config.contents() for file, _ in files_inside(path)]

    def identity(self) -> str:
        """A text that changes with the records, if these depend on more than files and options.

        For a server, it is the version of its data.

        Raises:
            TPError: it cannot be determined.
        """
        return ""

    @property
    def path(self) -> str:
        """The place for messages: the first file, else the class of the options."""
        return next(iter(self.config.files().values()), type(self.config).__name__)

    # The following methods are for the common reader of all sources.

    def by_rules(self, rules: FolderRules, passed: PassedOver) -> Source:
        """The source with the rules for the files of folders. Only a source that reads other sources uses them.

        Args:
            passed: counts the skipped files.

        Raises:
            DataError: one of the other sources does not exist.
        """
        return self

    def heading(self) -> str:
        """Everything besides file contents that determines the records."""
        paths = {option.partition(".")[0] for option in paths_in(self.config)}
        options = self.config.model_dump(mode="json", exclude=paths)
        inside = [name for path in self.config.contents() for _, name in files_inside(path)]
        return json.dumps([options, inside, self.identity()], sort_keys=True)

    def read(self, reading: Reading) -> Iterator[Iterable[Record]]:
        """The records with the fields that the processor reads, in parts.

        Raises:
            DataError: the source cannot be read any further, or a bad record is fatal.
        """
        yield self._by_field(reading)

    def _report(self, reading: Reading) -> Report:
        def report(error: DataError) -> None:
            if not isinstance(error, DataError):
                raise wrong_value(self.config, "records", f"{error!r} to report()", "a DataError")
            reading.bad.report(error)

        return report

    def _by_field(self, reading: Reading) -> Iterator[Record]:
        known = self.columns() if reading.columns else None
        if known is not None:
            if isinstance(known, str) or not isinstance(known, Collection):
                raise wrong_value(self.config, "columns", repr(known), "a list of names, or None")
            try:
                plan_columns(known, reading.columns)
            except DataError as error:
                raise DataError(str(error), file=self.path) from None
        found: Iterable[Record] | None = self.records(self._report(reading))
        if not isinstance(found, Iterable):
            raise wrong_value(self.config, "records", repr(found), "an iterator of Records")
        for record in found:
            expect(record, Record, self.config, "records", "Records")
            value = by_field(record.value, record.file, record.line, reading.columns, reading.bad)
            if value is not None:
                yield record if value is record.value else Record(value, record.file, record.line)
