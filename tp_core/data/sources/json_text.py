"""A window on the text of a JSON file, from which values are read one by one. Torch-free, in constant memory."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import IO, Any

from tp_core.data.sources.columns import MOST_COLUMNS
from tp_core.data.sources.file import FileSource
from tp_core.data.sources.lines import BLOCK, LONGEST, not_utf8
from tp_core.errors import DataError

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
#: The characters between the strings and brackets of a list.
_PLAIN = re.compile(r'[^"\[\]{},]*')
#: Replacement characters that the decoder writes for bytes that are not UTF-8.
_NO_TEXT = re.compile("[\udc80-\udcff]")
#: Maximum distance, in characters, between an error about an incomplete literal or escape and the end of the read text.
_LONGEST_LITERAL = 16
_DECODER = json.JSONDecoder()


class JsonText:
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

    def elements(self) -> Iterator[int]:
        """The line of each element of a list, whose bracket has been taken; the caller reads the element.

        Raises:
            DataError: something else than a comma or the closing bracket follows an element.
        """
        if self.take("]"):
            return
        while True:
            self.skip_space()
            yield self.line
            if not self.take(","):
                if self.take("]"):
                    return
                raise self.error("expected ',' or ']' after an element of the list")

    def members(self) -> Iterator[str]:
        """The key of each member of an object, whose brace has been taken; the caller reads the value.

        Raises:
            DataError: something else than a comma or the closing brace follows a member, or a key is missing.
        """
        if self.take("}"):
            return
        while True:
            key = self.required()
            if not isinstance(key, str) or not self.take(":"):
                raise self.error("expected a key in quotes and ':'")
            yield key
            if not self.take(","):
                if self.take("}"):
                    return
                raise self.error("expected ',' or '}' after a member of the object")

    def required(self) -> Any:
        """The next value, after optional spaces.

        Raises:
            DataError: it is not valid JSON.
        """
        self.skip_space()
        value = self.value()
        if isinstance(value, DataError):
            raise value
        return value

    def end(self, what: str) -> None:
        """Check that only spaces follow.

        Raises:
            DataError: something else follows ``what``.
        """
        if self.skip_space():
            raise self.error(f"expected nothing after the {what}")

    def value(self) -> Any:
        """Read the JSON value at this position, and go past it; for an invalid value, return the error and stay."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                near_end = error.pos >= len(self._text) - _LONGEST_LITERAL
                in_string = self._text[error.pos : error.pos + 1] == '"' and not _STRING.match(self._text, error.pos)
                if (near_end or in_string) and self._read():
                    continue
                end = min(error.pos, len(self._text))
                return self._damage(end) or self._error(f"not valid JSON: {error.msg}", end)
            except (ValueError, RecursionError) as error:
                return self._error(invalid(error), self._at)
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


def invalid(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not valid JSON: {error.msg} (column {error.pos + 1})"
    if isinstance(error, RecursionError):
        return "not usable JSON: nested too deeply"
    return f"not usable JSON: {error}"


def unfit(value: Any, file: str, line: int) -> DataError | None:
    """The error for a JSON value that is not a record; None if it is one."""
    if isinstance(value, dict):
        if len(value) <= MOST_COLUMNS:
            return None
        message = f"the object has {len(value):,} fields; at most {MOST_COLUMNS:,} are read"
        return DataError(message, file=file, line=line)
    names = {list: "a list", str: "a string", int: "a number", float: "a number", bool: "true or false"}
    found = "null" if value is None else names[type(value)]
    return DataError(f"expected a JSON object, found {found}", file=file, line=line)
