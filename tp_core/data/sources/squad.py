"""Questions about texts in the JSON form of SQuAD, CMRC 2018 and DRCD. Torch-free, in constant memory.

The form of SQuAD (Rajpurkar et al., 2016) is an object with ``data``, a list of articles. An article has
``paragraphs``, and a paragraph has a ``context`` and ``qas``, a list of questions. CMRC 2018 (Cui et al., 2019) also
has a form without articles: a list of paragraphs, with the keys ``context_text``, ``query_text`` and ``query_id``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from tp_core.data.sources.bad import BadRecords
from tp_core.data.sources.base import Reading
from tp_core.data.sources.columns import fields_of
from tp_core.data.sources.file import FileSource, RowFile, Rows, renamed
from tp_core.data.sources.json_text import JsonText, unfit
from tp_core.data.sources.lines import open_binary
from tp_core.errors import DataError

#: Names of CMRC 2018 → names of SQuAD.
_NAMES = {"context_text": "context", "query_text": "question", "query_id": "id"}

_EXPECTED = (
    "expected questions in the form of SQuAD: an object with 'data', a list of articles with 'paragraphs', each with "
    "'context' and 'qas'; or a list of such paragraphs"
)


class SquadFile(RowFile):
    """A file of questions. A record is a question, with its own keys and the ``context`` of its paragraph."""

    names_files = False

    def rows(self, reading: Reading) -> Rows:
        return renamed(questions(self, reading.bad), self.path, reading)


def form_of_json(source: FileSource) -> Literal["questions", "list", "lines"]:
    """The form of a JSON file: questions in the form of SQuAD, a list of objects, or an object in each line."""
    with open_binary(source) as file:
        text = JsonText(file, source)
        is_list = text.take("[")
        try:
            if _begins_a_part(text) if is_list else _begins_data(text):
                return "questions"
        except DataError:  # reading the file reports it, in its form
            pass
    return "list" if is_list else "lines"


def _begins_data(text: JsonText) -> bool:
    """True if the object at this position has a list of articles or paragraphs in ``data``."""
    if text.take("{"):
        for key in text.members():
            if key == "data":
                return text.take("[") and _begins_a_part(text)
            text.required()
    return False


def _begins_a_part(text: JsonText) -> bool:
    """True if the value at this position is an article or a paragraph with a list of questions."""
    if text.take("{"):
        for key in text.members():
            if key in ("paragraphs", "qas"):
                return text.take("[")
            text.required()
    return False


def questions(source: FileSource, bad: BadRecords) -> Rows:
    """The line and the fields of each question.

    Raises:
        DataError: the file is not valid JSON or has another form, or ``bad`` raises for a bad question.
    """
    with open_binary(source) as file:
        text, found = JsonText(file, source), False
        if text.take("["):
            yield from _parts(text, source, bad, True)
            text.end("list")
            return
        if text.take("{"):
            for key in text.members():
                if key == "data" and text.take("["):
                    found = True
                    yield from _parts(text, source, bad, True)
                else:
                    text.required()
            text.end("object")
        if not found:
            raise DataError(_EXPECTED, file=source.path)


def _parts(text: JsonText, source: FileSource, bad: BadRecords, articles: bool) -> Rows:
    """The questions of a list of paragraphs, or also of articles."""
    for line in text.elements():
        if not text.take("{"):
            error = unfit(text.required(), source.path, line)
            assert error is not None  # it is no object
            bad.report(error)
            continue
        yield from _part(text, source, bad, line, articles)


def _part(text: JsonText, source: FileSource, bad: BadRecords, begin: int, articles: bool) -> Rows:
    """The questions of the paragraph or article at this position, whose brace has been taken."""
    own: list[tuple[int, dict[str, Any]]] = []
    fields: dict[str, Any] = {}
    for key in text.members():
        name = _NAMES.get(key, key)
        inner = name == "qas" or (articles and name == "paragraphs")
        if inner and not text.take("["):
            raise text.error(f"expected a list in '{name}'")
        if not inner:
            fields[name] = text.required()
        elif name == "paragraphs":
            fields[name] = []
            yield from _parts(text, source, bad, False)
        else:
            fields[name] = []
            own += _asked(text, source, bad)
    if "paragraphs" not in fields and not {"context", "qas"} <= fields.keys():
        expected = "'paragraphs', or 'context' and 'qas'" if articles else "'context' and 'qas'"
        bad.report(DataError(f"expected {expected}; the keys are {fields_of(fields)}", file=source.path, line=begin))
    elif "context" in fields:
        for line, value in own:
            yield line, {**value, "context": fields["context"]}


def _asked(text: JsonText, source: FileSource, bad: BadRecords) -> Iterator[tuple[int, dict[str, Any]]]:
    """The line and the fields of each question of a list."""
    for line in text.elements():
        value = text.value()
        if isinstance(value, DataError):
            bad.report(value)
            text.pass_element(value)
        elif (error := unfit(value, source.path, line)) is None:
            yield line, {_NAMES.get(name, name): each for name, each in value.items()}
        else:
            bad.report(error)
