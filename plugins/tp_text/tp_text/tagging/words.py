"""The words of records for sequence labelling, with their places in a text and their tags. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from tp_core.data.fields import missing_field, text_field
from tp_core.errors import DataError
from tp_core.interfaces import Record
from tp_core.interfaces.tokenizer import EncodedText

#: Characters of scripts that are written without spaces: Chinese and Japanese.
_NO_SPACES = re.compile("[\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")

#: Fields of records.
_TOKENS, _TAGS, _SPANS, _LABEL = "tokens", "tags", "spans", "label"


@dataclass(frozen=True)
class GivenSpan:
    """A span of a record in characters of its text."""

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class TaggedText:
    """A text as a record has it.

    Attributes:
        text: the text; words that the record lists are joined by spaces.
        words: (start, end) of each word in characters; None if the words are those of the tokenizer.
        tags: a tag per word, or the integer that the record has for it; None without.
        spans: spans of the text, if the record has spans instead of tags; None without.
    """

    text: str
    words: list[tuple[int, int]] | None = None
    tags: list[Any] | None = None
    spans: list[GivenSpan] | None = None


def read(record: Record, split_spaces: bool = False, labelled: bool = True) -> TaggedText:
    """The text of a record, with its tags or spans if it has them.

    Forms: ``tokens`` (a list) and ``tags`` (a list); a text with ``spans``; a text of words between spaces with
    ``label``, their tags between spaces.

    Args:
        split_spaces: True if the words of a text are those between spaces, also without tags.
        labelled: False to ignore tags and spans, also wrong ones. Words are those that they belong to.

    Raises:
        DataError: a field is missing, or the fields disagree.
    """

    def problem(message: str) -> DataError:
        return DataError(message, file=record.file, line=record.line)

    value = record.value
    if value.get(_TOKENS) is not None:
        tokens = _listed(value[_TOKENS], _TOKENS, problem)
        for number, token in enumerate(tokens, 1):
            if not isinstance(token, str) or not token.strip():
                raise problem(f"word {number} of 'tokens' is {token!r}; expected a text that is not blank")
        text, words = " ".join(tokens), list[tuple[int, int]]()
        for token in tokens:
            begin = words[-1][1] + 1 if words else 0
            words.append((begin, begin + len(token)))
        tags = None if not labelled or value.get(_TAGS) is None else _listed(value[_TAGS], _TAGS, problem)
        return TaggedText(text, words, _counted(tags, len(words), _TAGS, problem))
    found = text_field(record, "text_a", "text")
    if found is None:
        raise missing_field(record, "'tokens', 'text_a' or 'text'")
    if value.get(_SPANS) is not None:
        spans = [_span(each, found, problem) for each in _spans(value[_SPANS], problem)] if labelled else None
        return TaggedText(found, None, None, spans)
    label = value.get(_LABEL)
    if label is None and not split_spaces:
        return TaggedText(found)
    words = _between_spaces(found)
    tags = _listed(label, _LABEL, problem) if labelled and label is not None else None
    return TaggedText(found, words, _counted(tags, len(words), _LABEL, problem))


def _between_spaces(text: str) -> list[tuple[int, int]]:
    words, start = [], 0
    for blank, run in groupby(text, str.isspace):
        end = start + len(list(run))
        if not blank:
            words.append((start, end))
        start = end
    return words


def _listed(value: Any, field: str, problem: Any) -> list[Any]:
    if isinstance(value, str):
        return value.split()
    if isinstance(value, Sequence) or hasattr(value, "tolist"):
        return list(value)
    raise problem(f"expected a list in '{field}', got {type(value).__name__}")


def _counted(tags: list[Any] | None, words: int, field: str, problem: Any) -> list[Any] | None:
    if tags is not None and len(tags) != words:
        raise problem(f"'{field}' has {len(tags)} tags for {words} words")
    return tags


def _spans(value: Any, problem: Any) -> list[Any]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise problem(f"expected a list of spans in 'spans', got {type(value).__name__}")
    return list(value)


def _span(value: Any, text: str, problem: Any) -> GivenSpan:
    """One span: ``{"start": 0, "end": 3, "label": "PER"}``, or ``[0, 3, "PER"]``; checked against the text."""
    if isinstance(value, dict):
        label = value.get("label", value.get("type"))
        start, end, own = value.get("start"), value.get("end"), value.get("text")
    elif isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 3:
        (start, end, label), own = value, None
    else:
        raise problem(f"the span {value!r:.80} is no {{start, end, label}} and no [start, end, label]")
    if type(start) is not int or type(end) is not int:
        raise problem(f"the span {value!r:.80} needs integers as start and end, in characters of the text")
    if not isinstance(label, str) or not label:
        raise problem(f"the span {value!r:.80} has no label")
    if not 0 <= start < end <= len(text):
        raise problem(f"the span {start} to {end} ({label}) is not inside the text, which has {len(text)} characters")
    if own is not None and own != text[start:end]:
        place = text.find(own) if isinstance(own, str) else -1
        near = f"; {own!r:.60} is at {place}" if place >= 0 else ""
        raise problem(f"the span {start} to {end} is {text[start:end]!r:.60} in the text, but {own!r:.60} here{near}")
    return GivenSpan(start, end, label)


def words_of(encoded: EncodedText, text: str) -> list[tuple[int, int]]:
    """The words of a tokenizer as (start, end) in characters.

    A word with Chinese or Japanese characters is divided into its pieces, since these languages have no spaces.
    """
    words: list[tuple[int, int]] = []
    before: int | None = None
    for (start, end), word in zip(encoded.offsets, encoded.words, strict=True):
        if start == end:
            continue
        same = word is not None and word == before and not _divided(text, words[-1][0], end)
        if words and (same or start < words[-1][1]):  # several pieces of one character overlap
            words[-1] = (words[-1][0], max(end, words[-1][1]))
        else:
            words.append((start, end))
        before = word
    return words


def _divided(text: str, start: int, end: int) -> bool:
    return _NO_SPACES.search(text, start, end) is not None


def pieces_of(encoded: EncodedText, words: Sequence[tuple[int, int]]) -> list[int]:
    """The number of the word that each piece belongs to. A piece outside of words belongs to the one after it."""
    numbers, word = [], 0
    last = max(0, len(words) - 1)
    for start, end in encoded.offsets:
        while word < last and (start >= words[word][1] if start < end else start > words[word][1]):
            word += 1
        numbers.append(word)
    return numbers


def spans_of_words(
    spans: Sequence[GivenSpan], words: Sequence[tuple[int, int]]
) -> tuple[list[tuple[int, int, str]], int]:
    """Spans as (first word, last word plus one, label), and the number of spans that begin or end inside a word.

    These are widened to whole words. A span without a word is left out.

    Raises:
        ValueError: two spans share a word.
    """
    found: list[tuple[int, int, str]] = []
    widened = 0
    for start, end, label in sorted((span.start, span.end, span.label) for span in spans):
        own = [number for number, (first, last) in enumerate(words) if first < end and last > start]
        if not own:
            continue
        if found and own[0] < found[-1][1]:
            raise ValueError(f"the spans {found[-1][2]} and {label} ({start} to {end}) overlap")
        widened += words[own[0]][0] < start or words[own[-1]][1] > end
        found.append((own[0], own[-1] + 1, label))
    return found, widened
