"""Reads questions about texts, with their answers, from records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from numbers import Integral
from typing import Any, NamedTuple

from tp_core.data.fields import missing_field, required_text, text_field
from tp_core.data.sources.columns import fields_of
from tp_core.errors import DataError
from tp_core.interfaces import Record

#: Maximum number of characters of an answer in a message.
_SHOWN = 60

_FORMS = (
    "expected {text: [...], answer_start: [...]}, or a list of {text: ..., answer_start: ...} or of texts, as in SQuAD "
    "and CMRC 2018"
)


class Answer(NamedTuple):
    """An answer without white space at its ends.

    Attributes:
        start: its first character in the context.
        text: the characters.
    """

    start: int
    text: str

    @property
    def end(self) -> int:
        """The character after its last."""
        return self.start + len(self.text)


class Question(NamedTuple):
    """A question about a text.

    Attributes:
        text: the question, without white space at its ends.
        context: the text that may have the answer.
        answers: the right answers; empty without labels, and for a question without an answer.
    """

    text: str
    context: str
    answers: tuple[Answer, ...] = ()


def question_of(record: Record) -> Question:
    """The ``question`` and the ``context`` of a record.

    Raises:
        DataError: one of them is missing or empty.
    """
    texts = {name: required_text(record, name) for name in ("question", "context")}
    for name, text in texts.items():
        if not text.strip():
            raise problem(record, f"the {name} is empty")
    return Question(texts["question"].strip(), texts["context"])


def answered_question(record: Record, unanswerable: bool) -> Question:
    """The question of a record with its ``answers``.

    Args:
        unanswerable: True if a question may have no answer.

    Raises:
        DataError: a field is missing or unusable, an answer is not in the context, or there is no answer.
    """
    question = question_of(record)
    impossible = record.value.get("is_impossible")
    if not isinstance(impossible, bool) and impossible is not None:
        raise problem(record, f"expected true or false in 'is_impossible', got {_shown(impossible)}")
    answers = tuple(_placed(record, question.context, text, start) for text, start in _given(record))
    if impossible and answers:
        raise problem(record, f"is_impossible is true, but there is an answer {_shown(answers[0].text)}")
    if not answers and impossible is False:
        raise problem(record, "there is no answer, but is_impossible is false")
    if not answers and not unanswerable:
        raise problem(record, "there is no answer; data.processor.qa.unanswerable: true allows such questions")
    return question._replace(answers=answers)


def problem(record: Record, message: str) -> DataError:
    """The error for a question that cannot be used, with its id if it has one; a file may have a single line."""
    name = record.value.get("id")
    return DataError(message if name is None else f"{message} (id {name})", file=record.file, line=record.line)


def _given(record: Record) -> Iterator[tuple[str, Any]]:
    """The text and the start of each answer of a record; the start is None if there is none."""
    value = record.value.get("answers")
    if value is None:
        raise missing_field(record, "'answers'")
    if isinstance(value, Mapping):
        texts, starts = value.get("text"), value.get("answer_start")
        if isinstance(texts, str) and not isinstance(starts, list):
            texts, starts = [texts], [starts]
        starts = [None] * len(texts) if starts is None and isinstance(texts, list) else starts
        if not isinstance(texts, list) or not isinstance(starts, list):
            raise problem(record, f"the fields of 'answers' are {fields_of(value)}; {_FORMS}")
        if len(texts) != len(starts):
            raise problem(record, f"'answers' has {len(texts)} texts and {len(starts)} of answer_start")
        value = [{"text": text, "answer_start": start} for text, start in zip(texts, starts)]
    if not isinstance(value, (list, tuple)):
        raise problem(record, f"'answers' is {_shown(value)}; {_FORMS}")
    for each in value:
        fields = {"text": each} if isinstance(each, str) else each
        if not isinstance(fields, Mapping) or "text" not in fields:
            raise problem(record, f"an answer is {_shown(each)}; {_FORMS}")
        text = text_field(Record(dict(fields), record.file, record.line), "text")
        yield text or "", fields.get("answer_start")


def _placed(record: Record, context: str, text: str, start: Any) -> Answer:
    """An answer at its place in the context. Without a start, the place is the first that has the text."""
    if not text.strip():
        raise problem(record, "an answer is empty; a question without an answer has an empty list of answers")
    if start is not None and (isinstance(start, bool) or not isinstance(start, Integral)):
        raise problem(record, f"expected a number of characters in 'answer_start', got {_shown(start)}")
    at = context.find(text) if start is None else int(start)
    if at < 0 or context[at : at + len(text)] != text:
        raise problem(record, _misplaced(context, text, start))
    stripped = text.lstrip()
    return Answer(at + len(text) - len(stripped), stripped.rstrip())


def _misplaced(context: str, text: str, start: Any) -> str:
    """The message for an answer that is not at its place: where it is instead, or what the context has nearly so."""
    if text in context:
        place = min(_places(context, text), key=lambda at: abs(at - start))
        return f"answer_start of the answer {_shown(text)} is {start}, but the context has this text at {place}"
    message = f"the answer {_shown(text)} is not in the context"
    folded = context.lower()
    place = folded.find(text.lower()) if len(folded) == len(context) else -1
    if place < 0:
        return message
    return f"{message}, which has {_shown(context[place : place + len(text)])} at {place}"


def _places(context: str, text: str) -> Iterator[int]:
    place = context.find(text)
    while place >= 0:
        yield place
        place = context.find(text, place + 1)


def _shown(value: Any) -> str:
    text = str(value)
    return f"'{text if len(text) <= _SHOWN else text[: _SHOWN - 3] + '...'}'"
