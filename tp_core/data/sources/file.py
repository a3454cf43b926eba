"""A file of one of our own formats; its name or the spec determines the format. Torch-free."""

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

#: Rows: the number of the first line (or of the row, in formats without lines), and the fields.
Rows = Iterator[tuple[int, dict[str, Any]]]


class FileSource(Source):
    """A file, a folder that is read as one data set, or a data set of the hub.

    Args:
        config: the format, and the path.

    Attributes:
        path: the path for messages.
        label: class of a picture or recording, from the name of a subfolder of the given folder.
        lists: for a table of pictures or recordings beside it, the paths of those that exist, relative to the table's
            folder; None for any other file.
    """

    #: True if a file whose name ends in .gz is unpacked while it is read.
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
        """The columns of a table's first rows, each with True if it holds bytes.

        Raises:
            DataError: the file cannot be read.
        """
        return {}

    def files(self) -> Iterable[str]:
        return (self.path,)

    def heading(self) -> str:
        # The form determines how contents are read, so equal bytes in two forms are different sources.
        label = "" if self.label is None else f" {self.label}"
        return f"{self.form} {self.compressed}{label}{'' if self.lists is None else ' lists'} {self.identity()}"

    def records(self, report: Report) -> Iterator[Record]:
        return chain.from_iterable(self.read(Reading({}, Reporting(report), ANY_FORM, PassedOver())))

    @abstractmethod
    def read(self, reading: Reading) -> Iterator[Iterable[Record]]:
        """The records; see :class:`Source`."""


class RowFile(FileSource):
    """A file whose records are read one by one."""

    @abstractmethod
    def rows(self, reading: Reading) -> Rows:
        """The rows, with field names.

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
    """Rows with field names, from rows that may each have different columns."""
    for line, value in rows:
        named = by_field(value, file, line, reading.columns, reading.bad)
        if named is not None:
            yield line, named
