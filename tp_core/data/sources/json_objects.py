"""JSON objects: one per line, or the elements of one list. Torch-free, in constant memory."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import IO, Any

from tp_core.data.sources.bad import BadRecords
from tp_core.data.sources.base import Reading
from tp_core.data.sources.columns import MOST_COLUMNS
from tp_core.data.sources.file import FileSource, RowFile, Rows, renamed
from tp_core.data.sources.lines import BLOCK, LONGEST, line_runs, not_utf8, open_binary
from tp_core.errors import DataError

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
#: The characters between the strings and brackets of a list.
_PLAIN = re.compile(r'[^"\[\]{},]*')
#: Replacement characters that the decoder writes for bytes that are not UTF-8.
_NO_TEXT = re.compile("[\udc80-\udcff]")
#: Maximum distance, in characters, between an error about an incomplete literal or escape and the end of the read text.
_LONGEST_LITERAL = 16
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
    """A file with one list of objects, or with an object in each line."""

    def objects(self, bad: BadRecords) -> Rows:
        return _list_elements(self, bad) if _begins_with_list(self) else _json_lines(self, bad)


def _begins_with_list(source: FileSource) -> bool:
    with open_binary(source) as file:
        while block := file.read(BLOCK):
            if text := block.lstrip():
                return text.startswith(b"[")
    return False


def _json_lines(source: FileSource, bad: BadRecords) -> Iterator[tuple[int, dict[str, Any]]]:
    for first, lines in line_runs(source, bad):
        for number, line in enumerate(lines, first):
            if not line or line.isspace():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                message = _OVER_LINES if line.strip() in ("[", "{") else _invalid(error)
                bad.report(DataError(message, file=source.path, line=number))
                continue
            if (unfit := _unfit(value, source.path, number)) is None:
                yield number, value
            else:
                bad.report(unfit)


def _list_elements(source: FileSource, bad: BadRecords) -> Iterator[tuple[int, dict[str, Any]]]:
    decoder = json.JSONDecoder()
    with open_binary(source) as file:
        text = _Text(file, source)
        text.take("[")
        closed = text.take("]")
        while not closed:
            text.skip_space()
            line = text.line
            value = text.value(decoder)
            if isinstance(value, DataError):
                bad.report(value)
                text.pass_element(value)
            elif (unfit := _unfit(value, source.path, line)) is None:
                yield line, value
            else:
                bad.report(unfit)
            if not text.take(","):
                closed = text.take("]")
                if not closed:
                    raise text.error("expected ',' or ']' after an element of the list")
        if text.skip_space():
            raise text.error("expected nothing after the list")


class _Text:
    """A window on the characters of a file, with the present reading position."""

    def __init__(self, file: IO[bytes], source: FileSource) -> None:
        self._file, self._source = file, source
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self._damaged = False  # True if some bytes were not text
        self._text, self._at = "", 0
        self.line, self._column = 1, 1

    def skip_space(self) -> bool:
        """Go to the next character that is not a space; True if there is one."""
        while True:
            match = _SPACE.match(self._text, self._at)
            assert match is not None
            self._advance(match.end())
            if self._at < len(self._text):
                return True
            if not self._read():
                return False

    def take(self, character: str) -> bool:
        """Go past ``character`` if it is next, after optional spaces; True if it was."""
        if self.skip_space() and self._text[self._at] == character:
            self._advance(self._at + 1)
            return True
        return False

    def value(self, decoder: json.JSONDecoder) -> Any:
        """Read the JSON value at this position, and go past it; for an invalid value, return the error and stay."""
        while True:
            try:
                value, end = decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                near_end = error.pos >= len(self._text) - _LONGEST_LITERAL
                in_string = self._text[error.pos : error.pos + 1] == '"' and not _STRING.match(self._text, error.pos)
                if (near_end or in_string) and self._read():
                    continue
                end = min(error.pos, len(self._text))
                return self._damage(end) or self._error(f"not valid JSON: {error.msg}", end)
            except (ValueError, RecursionError) as error:
                return self._error(_invalid(error), self._at)
            # A number at the very end may continue in the next block.
            if end == len(self._text) and self._read():
                continue
            damage = self._damage(end)
            if damage is None:
                self._advance(end)
            return value if damage is None else damage

    def pass_element(self, error: DataError) -> None:
        """Skip an invalid element of a list, up to the comma or bracket that ends it.

        Raises:
            DataError: the file ends before; it is ``error`` itself.
        """
        while True:
            end = self._end_of_element()
            if end is not None:
                self._advance(end)
                return
            if not self._read():
                raise error

    def _end_of_element(self) -> int | None:
        at, depth = self._at, 0
        while at < len(self._text):
            character = self._text[at]
            if character == '"':
                string = _STRING.match(self._text, at)
                if string is None:
                    return None
                at = string.end()
                continue
            if not depth and character in ",]":
                return at
            depth += (character in "[{") - (character in "]}")
            between = _PLAIN.match(self._text, at + (character in "[]{},"))
            assert between is not None  # the pattern also matches an empty text
            at = between.end()
        return None

    def _damage(self, end: int) -> DataError | None:
        """The error for bytes between here and ``end`` that are not text."""
        found = _NO_TEXT.search(self._text, self._at, end + 1) if self._damaged else None
        if found is None:
            return None
        line, column = self._place(found.start())
        return DataError(not_utf8(ord(found[0]) - 0xDC00, column), file=self._source.path, line=line)

    def error(self, message: str) -> DataError:
        return self._damage(self._at) or self._error(message, self._at)

    def _error(self, message: str, at: int) -> DataError:
        line, column = self._place(at)
        return DataError(f"{message} (column {column})", file=self._source.path, line=line)

    def _place(self, at: int) -> tuple[int, int]:
        """Line and column of a position in the window."""
        lines = self._text.count("\n", self._at, at)
        if lines:
            return self.line + lines, at - self._text.rfind("\n", self._at, at)
        return self.line, self._column + at - self._at

    def _advance(self, end: int) -> None:
        self.line, self._column = self._place(end)
        self._at = end

    def _read(self) -> bool:
        """Read more text, if there is any. The window doubles, so that long elements are not rescanned often."""
        if len(self._text) - self._at > LONGEST:
            raise DataError(f"a value of more than {LONGEST:,} characters", file=self._source.path, line=self.line)
        block = self._file.read(max(BLOCK, len(self._text) - self._at))
        text = self._decode(block, not block)
        self._damaged = self._damaged or _NO_TEXT.search(text) is not None
        if block or text:
            self._text, self._at = self._text[self._at :] + text, 0
        return bool(block or text)


def _invalid(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not valid JSON: {error.msg} (column {error.pos + 1})"
    if isinstance(error, RecursionError):
        return "not usable JSON: nested too deeply"
    return f"not usable JSON: {error}"


def _unfit(value: Any, file: str, line: int) -> DataError | None:
    """The error for a JSON value that is not a record; None if it is one."""
    if isinstance(value, dict):
        if len(value) <= MOST_COLUMNS:
            return None
        message = f"the object has {len(value):,} fields; at most {MOST_COLUMNS:,} are read"
        return DataError(message, file=file, line=line)
    names = {list: "a list", str: "a string", int: "a number", float: "a number", bool: "true or false"}
    found = "null" if value is None else names[type(value)]
    return DataError(f"expected a JSON object, found {found}", file=file, line=line)
