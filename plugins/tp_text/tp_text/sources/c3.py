"""The source ``c3``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from tp_core.data.sources.base import Source
from tp_core.errors import DataError
from tp_core.interfaces.record import Record, Report
from tp_text.sources.options import C3Config
from tp_text.sources.whole_json import json_elements, kind_of


class C3(Source):
    """Reads a list of ``[texts, questions, id]``, where a question has ``question``, ``choice`` and ``answer``.

    Each question is a record with ``context`` (the texts, joined by line ends), ``question``, ``choices``, ``label``
    (the text of the answer, if the question has one) and ``id``, that of the text and the number of the question. The
    line of a record is that where its text begins. The file is read as a whole.
    """

    names_files: ClassVar[bool] = False

    config: C3Config

    def records(self, report: Report) -> Iterator[Record]:
        path = self.config.path
        for line, element in json_elements(path, "a list of [texts, questions, id]"):
            message = _unfit(element)
            if message:
                report(DataError(message, file=path, line=line))
                continue
            texts, questions, *rest = element
            for place, question in enumerate(questions):
                if not isinstance(question, dict):
                    message = f"expected an object of a question, found {kind_of(question)}"
                    report(DataError(message, file=path, line=line))
                    continue
                yield Record(_fields(texts, question, rest, place), path, line)


def _unfit(element: Any) -> str:
    """The reason why an element of the list is not usable; empty if it is."""
    if not isinstance(element, list) or len(element) < 2:
        found = kind_of(element) if not isinstance(element, list) else f"a list of {len(element)}"
        return f"expected [texts, questions, id], found {found}"
    texts, questions = element[:2]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        return "expected a list of texts as the first part of [texts, questions, id]"
    if not isinstance(questions, list):
        return f"expected a list of questions as the second part, found {kind_of(questions)}"
    return ""


def _fields(texts: list[str], question: dict[str, Any], rest: list[Any], place: int) -> dict[str, Any]:
    found = {"context": "\n".join(texts), "question": question.get("question"), "choices": question.get("choice")}
    if question.get("answer"):
        found["label"] = question["answer"]
    name = question.get("id")
    found["id"] = str(name) if name is not None else f"{rest[0] if rest else ''}-{place}"
    return found
