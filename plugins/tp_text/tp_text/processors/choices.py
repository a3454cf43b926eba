"""The choices of a record, and the label that names the right one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

from tp_core.data.classes.names import NamedClass, as_compared
from tp_core.data.fields import missing_field, text_field
from tp_core.errors import DataError
from tp_core.interfaces import Record
from tp_core.suggest import did_you_mean

#: A number in a table. Programs whose integer columns cannot have missing values write 1.0.
_NUMBER = re.compile(r"([+-]?[0-9]{1,9})(?:\.0*)?")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Choices(NamedTuple):
    """The choices of a question.

    Attributes:
        texts: their texts, at least two.
        names: the names by which labels call them, in records that have such names; else None.
    """

    texts: list[str]
    names: list[str] | None = None


def read_choices(record: Record, fields: Sequence[str] | None = None) -> Choices:
    """The choices of a record: the list in the field ``choices``, or the texts of several fields.

    The list may be in a mapping with the lists ``text`` and ``label``, as in ARC and CommonsenseQA. The last ones of
    several fields may be empty, if a question has fewer choices.

    Raises:
        DataError: there are fewer than two choices, or one is empty or no text.
    """
    if fields is not None:
        return Choices(need_choices(_of_fields(record, fields), record))
    value, names = record.value.get("choices"), None
    if value is None:
        raise missing_field(record, "'choices'", "; choice_fields of the processor names fields with one choice each")
    if isinstance(value, Mapping) and isinstance(value.get("text"), (list, tuple)):
        value, labels = value["text"], value.get("label")
        if labels is not None:
            names = texts_of(record, labels, "choices.label")
            if len(names) != len(value):
                raise _error(record, f"'choices' has {len(value)} texts and {len(names)} labels")
    return Choices(need_choices(texts_of(record, value, "choices"), record), names)


def texts_of(record: Record, value: Any, name: str) -> list[str]:
    """The texts in a list of a record, none of which is empty.

    Raises:
        DataError: the value is no list of texts, or a text is empty.
    """
    if not isinstance(value, (list, tuple)):
        found = "a text" if isinstance(value, str) else f"the type {type(value).__name__}"
        raise _error(record, f"expected a list of texts in '{name}', got {found}")
    texts = []
    for number, item in enumerate(value):
        place = f"{name}[{number}]"
        text = text_field(Record({place: item}, record.file, record.line), place)
        if text is None or not text.strip():
            raise _error(record, f"'{place}' is empty")
        texts.append(text)
    return texts


def _of_fields(record: Record, fields: Sequence[str]) -> list[str]:
    for field in fields:
        if field not in record.value:
            raise missing_field(record, f"'{field}', which choice_fields names")
    texts = [text_field(record, field) or "" for field in fields]
    while texts and not texts[-1].strip():
        texts.pop()
    for field, text in zip(fields, texts):
        if not text.strip():
            raise _error(record, f"the choice '{field}' is empty, but a later one is not")
    return texts


def need_choices(texts: list[str], record: Record) -> list[str]:
    """The choices, of which there must be two.

    Raises:
        DataError: there are fewer.
    """
    if len(texts) < 2:
        have = f"only one choice, '{texts[0]}'" if texts else "no choices"
        raise _error(record, f"the question has {have}; expected at least two")
    return texts


class ChoiceLabels:
    """Finds the choice that a label names.

    Args:
        form: ``index``, ``letter``, ``text``, or ``auto`` for any of them.
        first: number of the first choice.
        option: the spec option that sets the form, for messages.
    """

    def __init__(self, form: str, first: int, option: str) -> None:
        self.form, self.first, self.option = form, first, option

    def read(self, record: Record, value: Any, choices: Choices) -> int:
        """The index from 0 of the choice that a label names.

        In the form ``auto``, a value that is a number, not a text, is an index.

        Raises:
            DataError: the label names none of the choices, several readings are possible, or another choice has the
                same text as the right one.
        """
        try:
            index = self._index(value, choices)
        except ValueError as error:
            raise _error(record, str(error)) from None
        right = _compared(choices.texts[index])
        same = [number for number, text in enumerate(choices.texts) if _compared(text) == right]
        if len(same) > 1:
            numbers = " and ".join(str(number + self.first) for number in same[:2])
            raise _error(record, f"the choices {numbers} are the same, '{choices.texts[index]}', and one is the answer")
        return index

    def _index(self, value: Any, choices: Choices) -> int:
        number = isinstance(value, Real) and not isinstance(value, bool)
        if choices.names is not None and not number and str(value) in choices.names:
            return choices.names.index(str(value))
        written = str(int(value)) if isinstance(value, (NamedClass, Integral)) and number else str(value).strip()
        forms = ("index", "letter", "text") if self.form == "auto" else (self.form,)
        if self.form == "auto" and number:
            forms = ("index",)
        found = {form: each for form in forms if (each := self._reading(form, written, choices.texts)) is not None}
        if not found:
            raise ValueError(self._unknown(written, forms, choices.texts))
        if len({*found.values()}) > 1:
            one, other = list(found)[:2]
            readings = f"as {_WORDS[one]} it is choice {found[one] + self.first}, as {_WORDS[other]} it is choice"
            raise ValueError(
                f"the label '{written}' is ambiguous: {readings} {found[other] + self.first}; set {self.option}"
            )
        return next(iter(found.values()))

    def _reading(self, form: str, written: str, texts: Sequence[str]) -> int | None:
        """The choice that a label names in one of the forms; None if it names none."""
        if form == "text":
            equal = [number for number, text in enumerate(texts) if _compared(text) == _compared(written)]
            return equal[0] if equal else None
        if form == "letter":
            place = _LETTERS.find(written.upper()) if len(written) == 1 else -1
        else:
            match = _NUMBER.fullmatch(written)
            place = int(match[1]) - self.first if match else -1
        return place if 0 <= place < len(texts) else None

    def _unknown(self, written: str, forms: Sequence[str], texts: Sequence[str]) -> str:
        last = len(texts) - 1
        expected = {
            "index": f"a number from {self.first} to {self.first + last}",
            "letter": f"a letter from A to {_LETTERS[last]}" if last < len(_LETTERS) else "a letter",
            "text": "the text of a choice",
        }
        shown = written if len(written) <= 60 else written[:57] + "..."
        near = did_you_mean(written, texts) if "text" in forms else ""
        wanted = " or ".join(expected[form] for form in forms)
        return f"the label '{shown}' names none of the {len(texts)} choices; {near or f'expected {wanted}'}"


_WORDS = {"index": "a number", "letter": "a letter", "text": "a text"}


def _compared(text: str) -> str:
    return as_compared(text.strip())


def _error(record: Record, message: str) -> DataError:
    return DataError(message, file=record.file, line=record.line)
