"""Messages about invalid YAML, made from the text itself.

PyYAML's two parsers and their releases differ in their messages, but agree on the position of the mistake. This file
uses only the position. A parser's own message is shown only for a mistake that is not recognised here.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import yaml
from yaml.composer import ComposerError
from yaml.scanner import ScannerError

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\']|\'\')*\'', re.DOTALL)
#: Braces of a path pattern, which YAML reads as a mapping.
_BRACES = re.compile(r"\{[^\s{}:]*(?:,|\.\.)[^\s{}:]*\}")
_WORD = re.compile(r"[^\s,\[\]{}]+")


class Mistake(NamedTuple):
    """One sentence about a mistake, and its line and column, from 0."""

    message: str
    line: int
    column: int


class _Place:
    """A position in a text, with the text around it."""

    def __init__(self, lines: list[str], line: int, column: int) -> None:
        self.line, self.column = line, column
        whole = lines[line] if line < len(lines) else ""
        self.at_end = line >= len(lines)
        self.before, self.after = whole[:column], whole[column:]
        self.char = self.after[:1]
        word = _WORD.match(self.after)
        self.word = word.group() if word else self.char
        self.opens_line = not self.before.strip()

    def says(self, message: str) -> Mistake:
        return Mistake(message, self.line, self.column)


def explain(error: yaml.MarkedYAMLError, lines: list[str]) -> Mistake:
    """Describe the mistake in a text that PyYAML rejects."""
    found, began = error.problem_mark, error.context_mark
    at = _Place(lines, found.line, found.column) if found is not None else _Place(lines, 0, 0)
    # The beginning of an unfinished element, if the parser reports it and it is a different position.
    start = _Place(lines, began.line, began.column) if began is not None else None
    if start is not None and (start.line, start.column) >= (at.line, at.column):
        start = None
    mistake = _of_a_pattern(at) or _of_one_character(at, start) or _at_the_start_of_a_text(error, at)
    if mistake is None and start is not None:
        mistake = _within_something(error, at, start, lines)
    return mistake or _of_a_block(at, start) or _in_the_words_of_the_library(error, at, lines)


def _of_a_pattern(at: _Place) -> Mistake | None:
    before = [match for match in _BRACES.finditer(at.before) if match.end() == len(at.before)]
    text_follows = before and at.char and at.char not in " \t,:#]}"
    if text_follows or (at.char == "{" and at.before[-1:].strip(" [,") and _BRACES.match(at.after)):
        return at.says('a path with braces needs quotes here, as in "shards/{0000..0099}.tar"')
    return None


def _of_one_character(at: _Place, start: _Place | None) -> Mistake | None:
    if at.char == "\t":
        return at.says("a tab stands here; YAML is indented with spaces")
    if at.opens_line and at.after.startswith("---") and (start is None or start.char not in "[{\"'"):
        return at.says("a second document begins here; a spec is one document")
    if at.char in ("]", "}") and (start is None or start.char not in "[{"):
        return at.says(f"this '{at.char}' closes nothing; a text with it needs quotes")
    if at.char == "," and start is None:
        return at.says("a value is missing before this comma")
    return None


def _at_the_start_of_a_text(error: yaml.MarkedYAMLError, at: _Place) -> Mistake | None:
    """A character that cannot begin a text without quotes."""
    if at.char == "%" and at.opens_line:
        return at.says("a line that begins with % is a directive; a spec has none")
    if at.char in ("@", "`", "%"):
        return at.says(f'a text that begins with {at.char} needs quotes: "{at.word}"')
    if at.char == "*" and isinstance(error, ComposerError):
        return at.says(f"the alias '{at.word}' is undefined: there is no '&{at.word[1:]}' before it")
    return None


def _within_something(error: yaml.MarkedYAMLError, at: _Place, start: _Place, lines: list[str]) -> Mistake | None:
    """A mistake in an element that begins elsewhere; its first character determines the message."""
    same_line = start.line == at.line
    if start.char in ("'", '"'):
        quoted = _QUOTED.match("\n".join([start.after, *lines[start.line + 1 :]]))
        if quoted is None:
            return start.says(f"the text that begins with {start.char} here is never closed")
        passed = len("\n".join([*lines[start.line : at.line], at.before])) - start.column
        if passed < quoted.end():
            column = max((at.before + at.char).rfind("\\"), 0)
            message = "the escape that begins here is unknown; write \\\\ for a backslash, or use single quotes"
            return Mistake(message, at.line, column)
    if start.char == "&" and isinstance(error, ComposerError):
        return at.says(f"the anchor '{at.word}' is given twice")
    if start.char in ("*", "&", "|", ">") and same_line:
        shown = start.word if len(start.word) > 1 else start.after.strip()
        return start.says(f'a text that begins with {start.char} needs quotes: "{shown}"')
    if start.char in ("[", "{"):
        kind, end = ("list", "]") if start.char == "[" else ("mapping", "}")
        if at.at_end:
            return start.says(f"this {kind} is never closed: expected ',' or '{end}'")
        where = f"the {kind} that begins at column {start.column + 1}"
        if not same_line:
            where = f"the {kind} that begins on line {start.line + 1}"
        return at.says(f"expected ',' or '{end}' in {where}")
    if isinstance(error, ScannerError) and not same_line:
        return start.says("a key needs a colon and a space after it")
    return None


def _of_a_block(at: _Place, start: _Place | None) -> Mistake | None:
    """A mistake in lists and mappings that are written with indentation."""
    if at.char == ":":
        if ": " in at.before:
            return at.says("a second key stands on this line; a text with ': ' in it needs quotes")
        return at.says("a key cannot stand here; is the indentation of this line right?")
    if at.char == "-" and not at.opens_line:
        return at.says("a list cannot begin on the line of its key; begin it on the next line")
    if at.before.rstrip()[-1:] in ("'", '"') and at.char:
        return at.says("something follows the text in quotes; within single quotes, '' is an apostrophe")
    if start is not None and at.opens_line and at.char:
        return at.says(f"this does not continue the block from line {start.line + 1}; is its indentation right?")
    return None


def _in_the_words_of_the_library(error: yaml.MarkedYAMLError, at: _Place, lines: list[str]) -> Mistake:
    if at.at_end:  # after the end, there is no character for the caret
        last = max((n for n, line in enumerate(lines) if line.strip()), default=0)
        column = len(lines[last].rstrip()) if lines else 0
        return Mistake("the text ends here, before it is complete", last, column)
    return at.says(", ".join(part for part in (error.context, error.problem) if part) or "the parser refuses it")
