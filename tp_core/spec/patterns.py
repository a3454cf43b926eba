"""Patterns of paths: braces as in a shell, ``*``, ``?``, ``[...]``, and ``**`` for any folders. Torch-free."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from tp_core.errors import TPError
from tp_core.files.folders import tree

_NUMBER = r"(-?\d{1,18})"
_RANGE = re.compile(rf"{_NUMBER}\.\.{_NUMBER}(?:\.\.{_NUMBER})?")
_LETTERS = re.compile(rf"([A-Za-z])\.\.([A-Za-z])(?:\.\.{_NUMBER})?")

#: Maximum number of braces in a text; a text with more braces is not expanded.
_MOST_BRACES = 20


class Match(str):
    """A path that matches a pattern.

    Attributes:
        base: the folder before the first pattern character; empty for the current folder.
    """

    base: str

    def __new__(cls, path: str, base: str) -> Match:
        found = super().__new__(cls, path)
        found.base = base
        return found

    def __reduce__(self) -> tuple[type[Match], tuple[str, str]]:
        return Match, (str(self), self.base)


def base_of(pattern: str) -> str:
    """The folder before the first pattern character; empty for the current folder."""
    fixed = re.split(r"[*?[{]", pattern, maxsplit=1)[0].replace(os.sep, "/")
    folder, slash, _ = fixed.rpartition("/")
    return folder or slash


def has_pattern(path: str) -> bool:
    """True if a path contains a pattern."""
    return glob.has_magic(path) or _first_braces(path) is not None


def matches(pattern: str) -> list[str]:
    """The paths that match a pattern of ``*``, ``?``, ``[...]`` and ``**``, sorted.

    ``**`` matches the folder before it and all folders below, each once. The content of a folder that matches a final
    ``**`` is not listed separately. Wildcards match neither hidden names nor links to a parent folder.

    Raises:
        TPError: a folder that matches ``**`` cannot be read.
    """
    parts = pattern.replace(os.sep, "/").split("/")
    if "**" not in parts:
        return [path for path in sorted(glob.glob(pattern)) if not _leads_back(path)]
    kept: dict[str, None] = {}
    try:
        found = sorted(set(_recursive(parts)))
    except OSError as error:
        raise TPError(f"{error.filename or pattern}: cannot be read: {error.strerror}") from error
    for path in found:
        if not any(above in kept for above in _above(path)):
            kept[path] = None
    return list(kept)


def _recursive(parts: list[str]) -> Iterator[str]:
    at = parts.index("**")
    begin, rest = "/".join(parts[:at]) or "/" * (at > 0), [part for part in parts[at + 1 :] if part]
    while rest[:1] == ["**"]:
        rest = rest[1:]
    for base in sorted(glob.glob(begin)) if begin else [""]:
        if not os.path.isdir(base or "."):
            continue
        for folder in tree(base).all() if rest else [base or "."]:
            if isinstance(folder, str):
                yield folder
                continue
            escaped = [*glob.escape(folder.path).replace(os.sep, "/").split("/"), *rest] if folder.path else rest
            yield from _recursive(escaped) if "**" in rest else glob.glob("/".join(escaped))


def _leads_back(path: str) -> bool:
    """True for a link to a folder that contains the link."""
    if not os.path.islink(path) or not os.path.isdir(path):
        return False
    own, target = os.path.realpath(os.path.dirname(path)), os.path.realpath(path)
    return own == target or own.startswith(target.rstrip(os.sep) + os.sep)


def _above(path: str) -> Iterator[str]:
    while (folder := os.path.dirname(path)) not in ("", path):
        yield folder
        path = folder


# -- braces ------------------------------------------------------------------------------------------------------------


class _Braces(NamedTuple):
    """The first braces of a text that can be expanded.

    Attributes:
        before: the text before the braces.
        parts: the alternatives inside, which may contain further braces.
        numbers: for a range, instead of parts: its numbers, its width, and True if it is a range of letters.
        after: the text after the braces.
    """

    before: str
    parts: list[str]
    numbers: tuple[range, int, bool] | None
    after: str


def braces(text: str) -> list[str]:
    """Expand ``{a,b}``, ``{0000..0099}`` and ``{0..10..2}`` in a text, in the same order as bash.

    Braces may be nested. Braces with neither a comma nor a range are not changed. :func:`brace_count` computes the
    number of texts without allocating memory for them.
    """
    found = _first_braces(text)
    if found is None:
        return [text]
    inside = [each for part in found.parts for each in braces(part)]
    if found.numbers is not None:
        numbers, width, letters = found.numbers
        inside = [chr(number) if letters else f"{number:0{width}d}" for number in numbers]
    rests = braces(found.after)
    return [found.before + each + rest for each in inside for rest in rests]


def brace_count(text: str) -> int:
    """The number of texts that :func:`braces` makes."""
    found = _first_braces(text)
    if found is None:
        return 1
    # _length() also works for a range that is too long for len().
    inside = sum(map(brace_count, found.parts)) if found.numbers is None else _length(found.numbers[0])
    return inside * brace_count(found.after)


def _length(numbers: range) -> int:
    return (numbers[-1] - numbers[0]) // numbers.step + 1


def _first_braces(text: str) -> _Braces | None:
    if not 0 < text.count("{") <= _MOST_BRACES:
        return None
    start = text.find("{")
    while start >= 0:
        depth, edges = 0, [start]
        for end in range(start, len(text)):
            depth += (text[end] == "{") - (text[end] == "}")
            if text[end] == "," and depth == 1:
                edges.append(end)
            if not depth:
                parts = [text[one + 1 : other] for one, other in zip(edges, [*edges[1:], end])]
                numbers = _range(parts[0]) if len(parts) == 1 else None
                if len(parts) > 1 or numbers is not None:
                    return _Braces(text[:start], parts, numbers, text[end + 1 :])
                break
        start = text.find("{", start + 1)
    return None


def _range(inside: str) -> tuple[range, int, bool] | None:
    if match := _RANGE.fullmatch(inside):
        first, last, step = match.groups()
        padded = any(re.match(r"-?0\d", each) for each in (first, last))
        return _stepped(int(first), int(last), step), max(len(first), len(last)) * padded, False
    if match := _LETTERS.fullmatch(inside):
        first, last, step = match.groups()
        return _stepped(ord(first), ord(last), step), 0, True
    return None


def _stepped(first: int, last: int, step: str | None) -> range:
    by = abs(int(step or 1)) or 1
    return range(first, last + 1, by) if last >= first else range(first, last - 1, -by)
