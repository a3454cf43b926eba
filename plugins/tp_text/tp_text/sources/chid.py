"""The source ``chid``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from tp_core.data.sources.base import Source
from tp_core.data.sources.options import JsonLinesConfig
from tp_core.errors import DataError
from tp_core.interfaces.record import Record, Report
from tp_text.processors.cloze_options import IDIOM
from tp_text.sources.options import ChidConfig
from tp_text.sources.whole_json import kind_of, whole_json


class Chid(Source):
    """Reads lines with ``content`` and ``candidates``, and the answers of another file or of the lines themselves.

    A line is a record with ``context`` (the content), ``choices`` (the candidates) and, with answers, ``label``, a list
    with one for each blank. Lines of the competition and of CLUE have a list of texts with numbered blanks
    (``#idiom000378#``), a list of candidates for all of them, and answers by blank in another file. Lines of the paper
    have a text with blanks ``#idiom#``, a list of candidates for each, and the answers in ``groundTruth``. The file of
    answers is read as a whole.
    """

    names_files: ClassVar[bool] = False

    config: ChidConfig

    def records(self, report: Report) -> Iterator[Record]:
        answers = None if self.config.answers is None else _answers(self.config.answers)
        for record in JsonLinesConfig(path=self.config.path).build().records(report):
            try:
                fields = self._fields(record.value, answers)
            except ValueError as error:
                report(DataError(str(error), file=record.file, line=record.line))
                continue
            yield Record(fields, record.file, record.line)

    def _fields(self, line: Mapping[str, Any], answers: Mapping[str, Any] | None) -> dict[str, Any]:
        """The fields of a line.

        Raises:
            ValueError: a field is missing, or a blank has no answer.
        """
        if lacks := [name for name in ("content", "candidates") if line.get(name) is None]:
            raise ValueError(f"no field '{lacks[0]}'; the fields are {', '.join(line) or 'none'}")
        content = line["content"]
        fields = {"context": content, "choices": line["candidates"]}
        if answers is None:
            return {**fields, "label": line["groundTruth"]} if line.get("groundTruth") is not None else fields
        texts = [text for text in (content if isinstance(content, list) else [content]) if isinstance(text, str)]
        blanks = [blank for text in texts for blank in re.findall(IDIOM, text)]
        if absent := [blank for blank in blanks if blank not in answers]:
            raise ValueError(f"{self.config.answers} has no answer for the blank {absent[0]}")
        return {**fields, "label": [answers[blank] for blank in blanks]}


def _answers(path: str) -> Mapping[str, Any]:
    found = whole_json(path)
    if not isinstance(found, dict):
        raise DataError(f"expected an object of answers by blank, found {kind_of(found)}", file=path, line=1)
    return found
