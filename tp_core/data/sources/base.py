"""The interface of sources: what a format of data does so that its records can be read. Torch-free."""

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
    """The circumstances in which sources are read.

    Attributes:
        columns: field that the processor reads → column.
        bad: is told of records that cannot be read.
        rules: say which fields are read of files that hold more.
        passed: counts what is no record.
    """

    columns: Mapping[str, str]
    bad: BadRecords
    rules: FolderRules
    passed: PassedOver


class Source(ABC):
    """Something that records are read from.

    A subclass yields records in :meth:`records`; the rest has usual answers.

    Args:
        config: the options.
    """

    #: Fields of records may name files, such as pictures, whose contents then count as well.
    names_files: ClassVar[bool] = True
    #: True of a source that is a single record: that its file cannot be read makes this a bad one.
    is_record: bool = False

    def __init__(self, config: SourceConfig) -> None:
        self.config = config

    @abstractmethod
    def records(self, report: Report) -> Iterator[Record]:
        """The records, in an order that is always the same, in constant memory.

        Fields have the names of the columns. ``file`` and ``line`` of a record are for messages; a field that is a
        relative path is relative to the folder of ``file``.

        Args:
            report: is told of each record that cannot be used, a :class:`~tp_core.errors.DataError` with its file and
                line. It raises where such records are fatal; where it returns, reading goes on behind the record.

        Raises:
            DataError: no more can be read.
        """

    def columns(self) -> Collection[str] | None:
        """The names of the fields that every record has, found without reading all of them; None: each has its own.

        A name in ``data.columns`` that is none of them is then an error at once.

        Raises:
            DataError: the source cannot be read.
        """
        return None

    def files(self) -> Iterable[str]:
        """The files whose contents decide the records: those that options name, and those in folders that they name."""
        return [file for path in self.config.contents() for file, _ in files_inside(path)]

    def identity(self) -> str:
        """A text that changes with the records where files and options do not say it; of a server, its data's version.

        Raises:
            TPError: it cannot be found out.
        """
        return ""

    @property
    def path(self) -> str:
        """The place that messages name: the first of the files, else the class of the options."""
        return next(iter(self.config.files().values()), type(self.config).__name__)

    # What follows is for the reader of all sources.

    def heading(self) -> str:
        """All that decides the records beside the contents of files."""
        paths = {option.partition(".")[0] for option in paths_in(self.config)}
        options = self.config.model_dump(mode="json", exclude=paths)
        inside = [name for path in self.config.contents() for _, name in files_inside(path)]
        return json.dumps([options, inside, self.identity()], sort_keys=True)

    def read(self, reading: Reading) -> Iterator[Iterable[Record]]:
        """The records with the fields that the processor reads, in parts.

        Raises:
            DataError: no more can be read, or a bad record is fatal.
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
