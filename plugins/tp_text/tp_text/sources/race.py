"""The source ``race``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from tp_core.data.sources.base import Source
from tp_core.errors import DataError
from tp_core.interfaces.record import Record, Report
from tp_text.sources.options import RaceConfig
from tp_text.sources.whole_json import kind_of, whole_json


class Race(Source):
    """Reads files with one passage each: ``article``, and the lists ``questions``, ``options`` and ``answers``.

    Each question is a record with ``context``, ``question``, ``choices``, ``label`` (a letter, if there are answers)
    and ``id``, that of the passage and the number of the question. The line of a record is the number of its question.
    The files of a folder and those inside are read in the order of their paths.
    """

    names_files: ClassVar[bool] = False

    config: RaceConfig

    def passages(self) -> list[str]:
        """The files of the passages."""
        path = Path(self.config.path)
        return [str(path)] if path.is_file() else sorted(str(each) for each in path.rglob("*.txt") if each.is_file())

    def records(self, report: Report) -> Iterator[Record]:
        files = self.passages()
        if not files:
            raise DataError("this folder has no .txt files; expected a file for each passage", file=self.config.path)
        for file in files:
            try:
                passage = whole_json(file)
                questions = _questions(passage, file)
            except DataError as error:
                report(error)
                continue
            for number, fields in enumerate(questions, 1):
                yield Record(fields, file, number)


def _questions(passage: Any, file: str) -> list[dict[str, Any]]:
    """The questions of a passage.

    Raises:
        DataError: a part is missing, or the lists have different lengths.
    """
    if not isinstance(passage, dict):
        raise DataError(f"expected an object with an article, found {kind_of(passage)}", file=file, line=1)
    article, questions, options = (passage.get(name) for name in ("article", "questions", "options"))
    answers = passage.get("answers")
    if not isinstance(article, str):
        raise DataError(f"expected a text in 'article', found {kind_of(article)}", file=file, line=1)
    lists = {"questions": questions, "options": options, **({} if answers is None else {"answers": answers})}
    for name, value in lists.items():
        if not isinstance(value, list):
            raise DataError(f"expected a list in '{name}', found {kind_of(value)}", file=file, line=1)
    counts = {name: len(value or []) for name, value in lists.items()}
    if len({*counts.values()}) > 1:
        shown = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise DataError(f"the passage has {shown}; expected as many of each", file=file, line=1)
    name = passage.get("id") or Path(file).name
    return [
        {
            "context": article,
            "question": question,
            "choices": choices,
            **({} if answers is None else {"label": answers[number]}),
            "id": f"{name}-{number}",
        }
        for number, (question, choices) in enumerate(zip(questions or (), options or ()))
    ]
