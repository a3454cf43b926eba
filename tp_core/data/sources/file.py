"""A file of one of our own formats, which its name or a spec says. Torch-free."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, ClassVar

from tp_core.data.sources.bad import Reporting
from tp_core.data.sources.base import Reading, Source
from tp_core.data.sources.columns import NewColumns, by_field
from tp_core.data.sources.folder_rules import ANY_FORM
from tp_core.data.sources.listing import listed_records
from tp_core.data.sources.options import FileConfig
from tp_core.data.sources.passed_over import PassedOver
from tp_core.interfaces.record import Record, Report

#: A row: the number of its first line (of the row, where there are no lines), and its fields.
Rows = Iterator[tuple[int, dict[str, Any]]]


class FileSource(Source):
    """A file, a folder that is read as one, or a data set of the hub.

    Args:
        config: the format, and the path.

    Attributes:
        path: as messages name it.
        label: of a picture or recording in a folder inside the one that was named, the class that this folder stands
            for.
        lists: of a table of pictures or recordings beside them, which of these there are, by their paths inside the
            table's folder; None for any other file.
    """

    #: The file is unpacked as it is read where its name ends in .gz.
    unpacked: ClassVar[bool] = True

    config: FileConfig
    path: str = ""

    def __init__(self, config: FileConfig, label: str | None = None, lists: frozenset[str] | None = None) -> None:
        super().__init__(config)
        self.path, self.is_record = config.path, config.is_record
        self.label, self.lists = label, lists

    @property
    def form(self) -> str:
        """The name of the format."""
        return self.config.form

    @property
    def compressed(self) -> bool:
        return self.unpacked and self.path.lower().endswith(".gz")

    def first_columns(self) -> dict[str, bool]:
        """The columns of a table's first rows, and whether they hold bytes.

        Raises:
            DataError: the file cannot be read.
        """
        return {}

    def files(self) -> Iterable[str]:
        return (self.path,)

    def heading(self) -> str:
        # The form decides how contents are read, so equal bytes of two forms are different sources.
        label = "" if self.label is None else f" {self.label}"
        return f"{self.form} {self.compressed}{label}{'' if self.lists is None else ' lists'} {self.identity()}"

    def records(self, report: Report) -> Iterator[Record]:
        return chain.from_iterable(self.read(Reading({}, Reporting(report), ANY_FORM, PassedOver())))

    @abstractmethod
    def read(self, reading: Reading) -> Iterator[Iterable[Record]]:
        """As of :class:`Source`."""


class RowFile(FileSource):
    """A file whose records are read one by one."""

    @abstractmethod
    def rows(self, reading: Reading) -> Rows:
        """The rows, with the names of fields.

        Raises:
            DataError: the file cannot be read, or a bad row is fatal.
        """

    def read(self, reading: Reading) -> Iterator[Iterable[Record]]:
        yield self._records(reading)

    def _records(self, reading: Reading) -> Iterator[Record]:
        if self.lists is None:
            rows = self.rows(reading)
        else:
            listed = listed_records(self, self.rows(reading._replace(columns={})), reading)
            columns = NewColumns(reading.columns, reading.columns)
            rows = renamed(listed, self.path, reading._replace(columns=columns))
        file = self.path
        for line, value in rows:
            yield Record(value, file, line)


def renamed(rows: Rows, file: str, reading: Reading) -> Rows:
    """Rows that have columns of their own each, with the names of fields."""
    for line, value in rows:
        named = by_field(value, file, line, reading.columns, reading.bad)
        if named is not None:
            yield line, named
