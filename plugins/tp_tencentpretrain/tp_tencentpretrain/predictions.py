"""Predictions in the forms of the original's inference scripts. Torch-free."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tp_core.errors import TPError
from tp_core.suggest import did_you_mean

Row = Mapping[str, Any]
Lines = Iterator[str]


def original_predictions(rows: Iterable[tuple[int, Row]], source: Path, task: str, probabilities: bool) -> Lines:
    """The lines of a file of the original, without line ends.

    Args:
        rows: the rows of ``tp predict`` or ``tp generate``, with their lines in the file.
        source: the file, for messages.
        task: one of :data:`TASKS`.
        probabilities: add the probabilities of all classes (``--output_prob`` of the original).

    Raises:
        TPError: a row has an error instead of a prediction, is of another task, or misses the id of its record.
    """
    if probabilities and task not in _WITH_PROBABILITIES:
        raise TPError(f"predictions of {task} have no probabilities; {', '.join(_WITH_PROBABILITIES)} have them")
    if probabilities:
        return _WITH_PROBABILITIES[task](_Rows(rows, source, task), True)
    return TASKS[task](_Rows(rows, source, task))


class _Rows:
    """Rows of a task, whose fields are checked."""

    def __init__(self, rows: Iterable[tuple[int, Row]], source: Path, task: str) -> None:
        self._rows, self._source, self._task = rows, source, task
        self._line = 0

    def __iter__(self) -> Iterator[Row]:
        for line, row in self._rows:
            self._line = line
            if "error" in row:
                raise self.error(f"the record has no prediction: {row['error']}")
            yield row

    def error(self, message: str) -> TPError:
        return TPError(f"{self._source}:{self._line}: {message}")

    def get(self, row: Row, field: str, kind: type | tuple[type, ...]) -> Any:
        """A field of a row.

        Raises:
            TPError: the row has no such field, or its value is of another type.
        """
        if field not in row and field == "input_id":
            raise self.error("the row has no 'input_id'; predict with --keep id")
        if field not in row:
            near = did_you_mean(field, row) or f"its fields are {', '.join(row)}"
            raise self.error(f"a prediction of {self._task} has '{field}', this row has not; {near}")
        if not isinstance(row[field], kind):
            raise self.error(f"'{field}' of a prediction of {self._task} cannot be {json.dumps(row[field])}")
        return row[field]

    def answers(self, pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        """A mapping from ids.

        Raises:
            TPError: an id is there twice.
        """
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                raise self.error(f"the id {name} is there twice")
            found[name] = value
        return found


def _classes(rows: _Rows, row: Row) -> str:
    found = rows.get(row, "probabilities", (list, dict))
    return " ".join(str(value) for value in (found.values() if isinstance(found, dict) else found))


def _class(rows: _Rows, probabilities: bool = False) -> Lines:
    yield "label\tprob" if probabilities else "label"
    for row in rows:
        label = str(rows.get(row, "label", (int, str)))
        yield f"{label}\t{_classes(rows, row)}" if probabilities else label


def _several_classes(rows: _Rows, probabilities: bool = False) -> Lines:
    heads: list[str] = []
    for row in rows:
        if not heads:
            heads = [name for name, value in row.items() if isinstance(value, dict) and "label" in value]
            if not heads:
                raise rows.error(f"a prediction of multi_task has one of each task; the row has {', '.join(row)}")
            yield "\t".join(f"label-{n}\tprob-{n}" if probabilities else f"label-{n}" for n, _ in enumerate(heads))
        parts = [rows.get(row, name, dict) for name in heads]
        yield "\t".join(
            text
            for part in parts
            for text in [str(rows.get(part, "label", (int, str))), *([_classes(rows, part)] if probabilities else [])]
        )


def _labels(rows: _Rows, probabilities: bool = False) -> Lines:
    yield "label\tprob" if probabilities else "label"
    for row in rows:
        labels = ",".join(str(label) for label in rows.get(row, "labels", list))
        yield f"{labels}\t{_classes(rows, row)}" if probabilities else labels


def _number(rows: _Rows) -> Lines:
    yield "label"
    for row in rows:
        yield str(rows.get(row, "value", (int, float)))


def _tags(rows: _Rows) -> Lines:
    yield "pred_label"
    for row in rows:
        yield "".join(f"{tag} " for tag in rows.get(row, "tags", list))


def _answers(rows: _Rows) -> Lines:
    pairs = ((str(rows.get(row, "input_id", (str, int))), rows.get(row, "answer", str)) for row in rows)
    yield json.dumps(rows.answers(pairs), indent=4, ensure_ascii=False)


def _choices(rows: _Rows) -> Lines:
    for row in rows:
        name = str(rows.get(row, "input_id", (str, int)))
        yield json.dumps({"id": int(name) if name.isdecimal() else name, "label": rows.get(row, "label", int)})


def _blanks(rows: _Rows) -> Lines:
    blanks = (blank for row in rows for blank in rows.get(row, "blanks", list))
    pairs = ((rows.get(blank, "blank", str), rows.get(blank, "label", int)) for blank in blanks)
    yield json.dumps(rows.answers(pairs), indent=2, ensure_ascii=False)


def _texts(rows: _Rows) -> Lines:
    yield "label"
    for row in rows:
        yield " ".join(rows.get(row, "text", str).splitlines())


_WITH_PROBABILITIES: dict[str, Callable[..., Lines]] = {
    "classifier": _class,
    "siamese": _class,
    "image_classifier": _class,
    "multi_task": _several_classes,
    "multi_label": _labels,
}

#: The forms, by the names of the original's inference scripts without ``run_`` and ``_infer``.
TASKS: dict[str, Callable[..., Lines]] = {
    **_WITH_PROBABILITIES,
    "regression": _number,
    "ner": _tags,
    "cmrc": _answers,
    "c3": _choices,
    "chid": _blanks,
    "text2text": _texts,
    "speech2text": _texts,
}
