"""JSON objects: one per line, or the elements of one list. Torch-free, in constant memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from tp_core.data.sources.bad import BadRecords
from tp_core.data.sources.base import Reading
from tp_core.data.sources.file import FileSource, RowFile, Rows, renamed
from tp_core.data.sources.json_text import JsonText, invalid, unfit
from tp_core.data.sources.lines import line_runs, open_binary
from tp_core.data.sources.squad import form_of_json, questions
from tp_core.errors import DataError

#: Number of objects whose keys determine the columns of JSON lines.
_FIRST = 100
#: Message for a line that is only the beginning of a value, as in indented JSON.
_OVER_LINES = (
    "this JSON value goes on in the next line; expected an object per line, or a list of objects in a file whose name "
    "ends in .json"
)


class JsonLines(RowFile):
    """A file with an object in each line."""

    def objects(self, bad: BadRecords) -> Rows:
        """The line number and the object of each record.

        Raises:
            DataError: reading a list cannot continue after an error, or ``bad`` raises for a bad line or element.
        """
        return _json_lines(self, bad)

    def rows(self, reading: Reading) -> Rows:
        return renamed(self.objects(reading.bad), self.path, reading)

    def first_columns(self) -> dict[str, bool]:
        return {name: False for _, record in islice(self.objects(BadRecords()), _FIRST) for name in record}


class JsonFile(JsonLines):
    """A file with one list of objects, with an object in each line, or with questions in the form of SQuAD."""

    def objects(self, bad: BadRecords) -> Rows:
        form = form_of_json(self)
        if form == "questions":
            return questions(self, bad)
        return _list_elements(self, bad) if form == "list" else _json_lines(self, bad)


def _json_lines(source: FileSource, bad: BadRecords) -> Iterator[tuple[int, dict[str, Any]]]:
    for first, lines in line_runs(source, bad):
        for number, line in enumerate(lines, first):
            if not line or line.isspace():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as reason:
                message = _OVER_LINES if line.strip() in ("[", "{") else invalid(reason)
                bad.report(DataError(message, file=source.path, line=number))
                continue
            if (error := unfit(value, source.path, number)) is None:
                yield number, value
            else:
                bad.report(error)


def _list_elements(source: FileSource, bad: BadRecords) -> Rows:
    with open_binary(source) as file:
        text = JsonText(file, source)
        text.take("[")
        for line in text.elements():
            value = text.value()
            if isinstance(value, DataError):
                bad.report(value)
                text.pass_element(value)
            elif (error := unfit(value, source.path, line)) is None:
                yield line, value
            else:
                bad.report(error)
        text.end("list")
