"""Files with a word per line. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tp_core.data.sources.base import Reading
from tp_core.data.sources.file import RowFile, Rows, renamed
from tp_core.data.sources.lines import line_runs
from tp_core.errors import DataError
from tp_text.sources.conll_options import ConllConfig

#: The word of a line that separates documents in the files of CoNLL-2003.
_DOCUMENT = "-DOCSTART-"


class ConllFile(RowFile):
    """Columns are separated by tabs if the line has tabs, else by white space.

    Records have ``tokens`` and ``tags``, and the line of their first word.
    """

    config: ConllConfig

    def rows(self, reading: Reading) -> Rows:
        return renamed(self._sentences(reading), self.path, reading)

    def first_columns(self) -> dict[str, bool]:
        return {"tokens": False, "tags": False}

    def _sentences(self, reading: Reading) -> Iterator[tuple[int, dict[str, Any]]]:
        """The sentences; one with a bad line is reported, and left out."""
        lines: list[tuple[int, list[str]]] = []
        width: int | None = None
        problem: DataError | None = None
        for number, line in self._lines(reading):
            cells = line.split("\t") if "\t" in line else line.split()
            cells = [cell.strip() for cell in cells]
            if not any(cells) or cells[0] == _DOCUMENT:
                if problem is not None:
                    reading.bad.report(problem)
                elif lines:
                    yield self._sentence(lines)
                lines, problem = [], None
                continue
            if width is None:
                width = len(cells)
                self._check_columns(width, number)
            if problem is None and len(cells) != width:
                expected = f"{width} columns as in the first line with words"
                problem = DataError(
                    f"the line has {len(cells)} columns; expected {expected}", file=self.path, line=number
                )
            lines.append((number, cells))
        if problem is not None:
            reading.bad.report(problem)
        elif lines:
            yield self._sentence(lines)

    def _lines(self, reading: Reading) -> Iterator[tuple[int, str]]:
        comment = self.config.comment
        for first, run in line_runs(self, reading.bad):
            for number, line in enumerate(run, first):
                if comment is None or not line.startswith(comment):
                    yield number, line

    def _check_columns(self, width: int, line: int) -> None:
        options = {"token_column": self.config.token_column, "tag_column": self.config.tag_column}
        for name, column in options.items():
            if column is not None and not -width <= column < width:
                raise DataError(f"{name} is {column}, but the line has {width} columns", file=self.path, line=line)

    def _sentence(self, lines: list[tuple[int, list[str]]]) -> tuple[int, dict[str, Any]]:
        token, tag = self.config.token_column, self.config.tag_column
        value: dict[str, Any] = {"tokens": [cells[token] for _, cells in lines]}
        only = len(lines[0][1]) == 1
        if tag is not None and not only:
            value["tags"] = [cells[tag] for _, cells in lines]
        return lines[0][0], value
