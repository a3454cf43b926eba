"""Parallel corpora of plain text: line n of one file is the translation of line n of the other."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from tp_core.data.fields import text_field
from tp_core.data.sources.bad import Reporting
from tp_core.data.sources.lines import BLOCK, line_runs, open_binary
from tp_core.data.sources.options import TextConfig
from tp_core.errors import DataError
from tp_core.interfaces import Record, Report
from tp_core.suggest import near_file
from tp_text.processors.parallel_files import has_extension, partner_of


class ParallelLines:
    """Pairs each line of a plain text file with the line of the same number in its partner file.

    Two files of different length always raise an error, even if bad records are skipped: after a missing line, all
    lines would be paired wrongly.

    Args:
        extension: extension of the source files. Records of files with the other extension are ignored.
        other: extension of the partner files.
    """

    def __init__(self, extension: str, other: str, report: Report) -> None:
        self.extension, self.other, self.report = extension, other, report

    def paired(self, records: Iterable[Record]) -> Iterator[Record]:
        """Records with ``source`` and ``target``; records that are not plain text are passed on unchanged.

        Raises:
            DataError: a partner file is missing, or has a different number of lines.
        """
        partner: _Partner | None = None
        file = ""
        for record in records:
            if set(record.value) - {"text", "text_a"}:
                yield record
                continue
            if record.file != file:
                if partner is not None:
                    partner.finish()
                file, partner = record.file, self._open(record.file)
            if partner is None:
                continue
            target = partner.line(record.line)
            if target is not None:
                yield Record(
                    {"source": text_field(record, "text", "text_a"), "target": target}, record.file, record.line
                )
        if partner is not None:
            partner.finish()

    def _open(self, file: str) -> _Partner | None:
        path = partner_of(file, self.extension, self.other)
        if path is not None:
            return _Partner(file, path, self.report)
        if has_extension(file, self.other):
            return None
        message = f"expected a name that ends in .{self.extension}, as source_extension says, or records with two sides"
        raise DataError(message, file=file)


class _Partner:
    """The other side of a file, read line by line."""

    def __init__(self, file: str, path: str, report: Report) -> None:
        if not os.path.isfile(path):
            near = near_file(Path(path))
            hint = f"; did you mean '{near}'?" if near and near != os.path.basename(file) else ""
            raise DataError(f"there is no such file; expected the other side of {file}{hint}", file=path)
        self.file, self.path = file, path
        self._lines = _numbered(path, report)
        self._next = next(self._lines, None)
        self._asked = 0

    def line(self, number: int) -> str | None:
        """Line with a given number; numbers must increase from call to call.

        Returns:
            The line, or None if it cannot be read. That error has been reported already.

        Raises:
            DataError: the file has fewer lines.
        """
        self._asked = number
        while self._next is not None and self._next[0] < number:
            self._next = next(self._lines, None)
        if self._next is None and number > (count := _count(self.path)):
            raise _unpaired_line(self.file, count, self.path)
        return self._next[1] if self._next is not None and self._next[0] == number else None

    def finish(self) -> None:
        """Check, after the last line of the source file, that the partner has no further lines.

        Raises:
            DataError: the partner has more lines.
        """
        # line() is not called for unreadable source lines, but they count.
        while self._next is not None:
            if self._next[0] > self._asked and self._next[0] > (count := _count(self.file)):
                raise _unpaired_line(self.path, count, self.file)
            self._next = next(self._lines, None)


def _unpaired_line(longer: str, count: int, shorter: str) -> DataError:
    message = f"this line has no counterpart: {shorter} has {count or 'no'} line{'s' * (count != 1)}"
    return DataError(message, file=longer, line=count + 1)


def _numbered(path: str, report: Report) -> Iterator[tuple[int, str]]:
    for first, lines in line_runs(TextConfig.file(path), Reporting(report)):
        yield from enumerate(lines, first)


def _count(path: str) -> int:
    """Number of lines in a file, including unreadable ones."""
    count, last = 0, b"\n"
    with open_binary(TextConfig.file(path)) as file:
        while block := file.read(BLOCK):
            count, last = count + block.count(b"\n"), block[-1:]
    return count + (last != b"\n")
