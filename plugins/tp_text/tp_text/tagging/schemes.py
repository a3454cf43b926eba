"""Schemes of tags that mark spans: BIO, BIOES, BMES. Torch-free.

A tag is ``O``, or a prefix, ``-`` and the type of a span: ``B-PER``. BIO marks the first word of a span by B and the
following ones by I. BIOES also marks the last word by E, and a span of one word by S. BMES writes M instead of I.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, get_args

Scheme = Literal["bio", "bioes", "bmes"]

#: The prefixes of each scheme: of the first, an inner, the last and the only word of a span.
_PREFIXES: dict[str, tuple[str, str, str, str]] = {
    "bio": ("B", "I", "I", "B"),
    "bioes": ("B", "I", "E", "S"),
    "bmes": ("B", "M", "E", "S"),
}

OUTSIDE = "O"


class Span(NamedTuple):
    """A span of words.

    Attributes:
        start: number of the first word.
        end: number of the last word plus one.
        type: the type, such as ``PER``.
    """

    start: int
    end: int
    type: str


@functools.lru_cache(maxsize=4096)
def parts(tag: str) -> tuple[str, str]:
    """The prefix and the type of a tag; (``O``, empty) outside of spans, and for a special tag such as ``[PAD]``."""
    prefix, _, kind = tag.partition("-")
    return (OUTSIDE, "") if tag == OUTSIDE or (tag.startswith("[") and tag.endswith("]")) else (prefix, kind)


def scheme_of(tags: Iterable[str]) -> Scheme | None:
    """The scheme of a set of tags; None if they mark no spans, such as parts of speech."""
    prefixes = set()
    for tag in tags:
        prefix, kind = parts(tag)
        if prefix != OUTSIDE and (not kind or prefix not in "BIMES"):
            return None
        prefixes.add(prefix)
    prefixes -= {OUTSIDE}
    if "B" not in prefixes or {"I", "M"} <= prefixes:
        return None
    return next((scheme for scheme in get_args(Scheme) if prefixes <= set(_PREFIXES[scheme])), None)


def tags_of_types(types: Sequence[str], scheme: Scheme) -> list[str]:
    """All tags of a scheme for types of spans, ``O`` first."""
    return [OUTSIDE, *(f"{prefix}-{kind}" for kind in types for prefix in dict.fromkeys(_PREFIXES[scheme]))]


def types_of(tags: Iterable[str]) -> list[str]:
    """The types of spans that tags mark, in order."""
    return list(dict.fromkeys(kind for tag in tags if (kind := parts(tag)[1])))


def tags_of_spans(spans: Iterable[Span], count: int, scheme: Scheme) -> list[str]:
    """The tags of ``count`` words with spans that do not overlap."""
    first, inner, last, only = _PREFIXES[scheme]
    tags = [OUTSIDE] * count
    for start, end, kind in spans:
        marks = [only] if end == start + 1 else [first, *[inner] * (end - start - 2), last]
        tags[start:end] = [f"{mark}-{kind}" for mark in marks]
    return tags


def following(tag: str, scheme: Scheme) -> str:
    """The tag of a further piece of a word that has ``tag``."""
    prefix, kind = parts(tag)
    first, inner, last, only = _PREFIXES[scheme]
    if prefix == OUTSIDE:
        return tag
    if prefix == only and only != first:
        return f"{last}-{kind}"
    return f"{inner if prefix == first else prefix}-{kind}"


def spans(tags: Iterable[str]) -> list[Span]:
    """The spans of tags of any scheme, also of tags that break it, as the script ``conlleval`` reads them.

    A span begins at B or S, and where a tag continues nothing: after O, after another type, after the end of a span.
    """
    return list(_chunks(tags))


def _chunks(tags: Iterable[str]) -> Iterator[Span]:
    start, before, kind_before, number = 0, OUTSIDE, "", -1
    for number, tag in enumerate(tags):
        if tag == before == OUTSIDE:
            continue
        prefix, kind = parts(tag)
        changed = kind != kind_before
        ends = before != OUTSIDE and (before in "ES" or prefix in "BSO" or changed)
        if ends:
            yield Span(start, number, kind_before)
        if prefix != OUTSIDE and (prefix in "BS" or before == OUTSIDE or before in "ES" or changed):
            start = number
        before, kind_before = prefix, kind
    if before != OUTSIDE:
        yield Span(start, number + 1, kind_before)


def strict_spans(tags: Sequence[str], scheme: Scheme) -> list[Span]:
    """The spans that tags mark exactly as their scheme says; others are left out."""
    first, inner, last, only = _PREFIXES[scheme]
    found, number = [], 0
    while number < len(tags):
        end = number + 1
        if tags[number] == OUTSIDE:
            number = end
            continue
        prefix, kind = parts(tags[number])
        if prefix == first:
            while end < len(tags) and tags[end] == f"{inner}-{kind}":
                end += 1
            if first == only:  # a span ends where the next tag does not continue it
                found.append(Span(number, end, kind))
            elif end < len(tags) and tags[end] == f"{last}-{kind}":
                end += 1
                found.append(Span(number, end, kind))
        elif prefix == only:
            found.append(Span(number, end, kind))
        number = end
    return found


def break_in(tags: Sequence[str], scheme: Scheme) -> int | None:
    """The number of the first tag that breaks the scheme; None if there is none."""
    first, inner, last, only = _PREFIXES[scheme]
    open_ended = first == only
    inside = ""
    for number, tag in enumerate(tags):
        prefix, kind = parts(tag)
        continues = prefix in (inner, last) and prefix not in (first, only)
        if continues and kind != inside:
            return number
        if not continues and inside and not open_ended:
            return number
        if prefix == first or (continues and prefix == inner):
            inside = kind
        else:
            inside = ""
    return len(tags) - 1 if inside and not open_ended else None
