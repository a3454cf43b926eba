"""JSON objects: one per line, or the elements of one list. Torch-free, in constant memory."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import IO, Any

from tp_core.data.sources_bad import BadRecords
from tp_core.data.sources_find import Source
from tp_core.data.sources_text import BLOCK, line_runs, open_binary
from tp_core.errors import DataError

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
#: An incomplete literal or escape is noticed at most this many characters before the end of what was read.
_LONGEST_LITERAL = 16


def json_records(source: Source, bad: BadRecords) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of each record; a ``.json`` file may hold one list of objects instead of lines.

    Raises:
        DataError: a list with an error in it (after which there is no way to go on), or a line that ``bad``
            says is fatal.
    """
    if source.form == "json" and _begins_with_list(source):
        yield from _list_elements(source, bad)
    else:
        yield from _json_lines(source, bad)


def _begins_with_list(source: Source) -> bool:
    with open_binary(source) as file:
        while block := file.read(BLOCK):
            if text := block.lstrip():
                return text.startswith(b"[")
    return False


def _json_lines(source: Source, bad: BadRecords) -> Iterator[tuple[int, dict[str, Any]]]:
    for first, lines in line_runs(source, bad):
        for number, line in enumerate(lines, first):
            if not line or line.isspace():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                bad.report(DataError(_invalid(error), file=source.path, line=number))
                continue
            if isinstance(value, dict):
                yield number, value
            else:
                bad.report(_not_object(value, source.path, number))


def _list_elements(source: Source, bad: BadRecords) -> Iterator[tuple[int, dict[str, Any]]]:
    decoder = json.JSONDecoder()
    with open_binary(source) as file:
        text = _Text(file, source)
        text.take("[")
        closed = text.take("]")
        while not closed:
            text.skip_space()
            line = text.line
            value = text.value(decoder)
            if isinstance(value, dict):
                yield line, value
            else:
                bad.report(_not_object(value, source.path, line))
            if not text.take(","):
                closed = text.take("]")
                if not closed:
                    raise text.error("expected ',' or ']' after an element of the list")
        if text.skip_space():
            raise text.error("expected nothing after the list")


class _Text:
    """A window on the characters of a file, with the place that reading has come to."""

    def __init__(self, file: IO[bytes], source: Source) -> None:
        self._file, self._source = file, source
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._text, self._at = "", 0
        self.line, self._column = 1, 1

    def skip_space(self) -> bool:
        """Go to the next character that is no space; whether there is one."""
        while True:
            match = _SPACE.match(self._text, self._at)
            assert match is not None
            self._advance(match.end())
            if self._at < len(self._text):
                return True
            if not self._read():
                return False

    def take(self, character: str) -> bool:
        """Go past ``character`` if it is next, spaces aside."""
        if self.skip_space() and self._text[self._at] == character:
            self._advance(self._at + 1)
            return True
        return False

    def value(self, decoder: json.JSONDecoder) -> Any:
        """The JSON value that begins here."""
        while True:
            try:
                value, end = decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                near_end = error.pos >= len(self._text) - _LONGEST_LITERAL
                in_string = self._text[error.pos : error.pos + 1] == '"' and not _STRING.match(self._text, error.pos)
                if (near_end or in_string) and self._read():
                    continue
                self._advance(min(error.pos, len(self._text)))
                raise self.error(f"not valid JSON: {error.msg}") from None
            except (ValueError, RecursionError) as error:
                raise self.error(_invalid(error)) from None
            # A number at the very end may go on in the next block.
            if end == len(self._text) and self._read():
                continue
            self._advance(end)
            return value

    def error(self, message: str) -> DataError:
        return DataError(f"{message} (column {self._column})", file=self._source.path, line=self.line)

    def _advance(self, end: int) -> None:
        lines = self._text.count("\n", self._at, end)
        if lines:
            self.line += lines
            self._column = end - self._text.rfind("\n", self._at, end)
        else:
            self._column += end - self._at
        self._at = end

    def _read(self) -> bool:
        """Read more, if there is any: as much as is held, so that long elements are not rescanned often."""
        block = self._file.read(max(BLOCK, len(self._text) - self._at))
        try:
            text = self._decode(block, not block)
        except UnicodeDecodeError as error:
            # Reading the file by lines finds the exact place, and says it.
            for _ in line_runs(self._source, BadRecords()):
                pass
            raise DataError(f"not UTF-8: {error}", file=self._source.path) from error
        if block:
            self._text, self._at = self._text[self._at :] + text, 0
        return bool(block)


def _invalid(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not valid JSON: {error.msg} (column {error.pos + 1})"
    if isinstance(error, RecursionError):
        return "not usable JSON: nested too deeply"
    return f"not usable JSON: {error}"


def _not_object(value: Any, file: str, line: int) -> DataError:
    names = {list: "a list", str: "a string", int: "a number", float: "a number", bool: "true or false"}
    found = "null" if value is None else names[type(value)]
    return DataError(f"expected a JSON object, found {found}", file=file, line=line)
