"""Cloze tests: texts with blanks, each of which is a question whose choices the text's blanks may share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tp_core.data.fields import missing_field, text_field
from tp_core.data.padding import Ids
from tp_core.data.sampling.items import item_id
from tp_core.errors import DataError
from tp_core.interfaces import Record, Rows, Sample, Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.assignment import best_assignment
from tp_text.processors.choice import MultipleChoiceProcessor, Question
from tp_text.processors.choices import Choices, need_choices, read_choices, texts_of
from tp_text.processors.cloze_options import ClozeProcessorConfig

#: Score of a choice that a blank does not have, and a bound that a sum of real scores does not reach.
_NONE, _REAL = -1e6, -1e5
#: The least probability whose logarithm is taken, also in the place of NaN.
_LEAST = 1e-38


class ClozeProcessor(MultipleChoiceProcessor):
    """Reads the fields ``context`` (a text, or a list of texts), ``choices`` and ``label``.

    Each blank of a record is a sample. In its sequences, the text is cut around the blank; the blank is the token
    ``mark``, and other blanks are the token ``other_mark``. ``choices`` is a list for all blanks, or a list of lists
    with one for each. ``label`` has a label for each blank, in order, or by the text of the blank.
    """

    least_context = 1

    def __init__(self, config: ClozeProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        self.pattern, self.one_to_one = re.compile(config.blank_pattern), config.one_to_one
        ids = tokenizer.ids_by_token() if config.mark is not None or config.other_mark is not None else {}
        self.mark = tokenizer.special["mask"] if config.mark is None else ids[config.mark]
        self.other_mark = tokenizer.special["unk"] if config.other_mark is None else ids[config.other_mark]

    @property
    def read_ahead(self) -> int:
        return 128

    def questions(self, record: Record, labelled: bool) -> list[Question]:
        texts = _texts(record)
        places = [(text, found) for text in texts for found in self.pattern.finditer(text)]
        if not places:
            raise _error(record, f"'context' has no blank (blank_pattern {self.pattern.pattern})")
        names = [found[0] for _, found in places]
        choices = _choices(record, len(places))
        if self.one_to_one:
            _check_assignable(record, choices)
        labels: Sequence[int | None] = [None] * len(places)
        if labelled:
            given = _labels(record, names)
            labels = [self.reader.read(record, value, own) for value, own in zip(given, choices)]
        return [
            Question(record, *self._context(text, blank), own.texts, own.texts, blank[0], label)
            for (text, blank), own, label in zip(places, choices, labels)
        ]

    def _context(self, text: str, blank: re.Match[str]) -> tuple[tuple[str | int, ...], int]:
        """The parts of a text with tokens in the place of blanks, and the number of the part of one blank."""
        parts: list[str | int] = []
        place = end = 0
        for each in self.pattern.finditer(text):
            parts.append(text[end : each.start()])
            if each.start() == blank.start():
                place = len(parts)
            parts.append(self.mark if each.start() == blank.start() else self.other_mark)
            end = each.end()
        return (*parts, text[end:]), place

    def cells(
        self, question: Question, record: int, context: Ids, place: int, choices: list[list[int]]
    ) -> dict[str, Any]:
        own = super().cells(question, record, context, place, choices)
        return {**own, "items": items_of(question.choices), "record": record}

    def record_starts(self, rows: Rows) -> NDArray[np.int64]:
        numbers = rows.integers("record")
        return np.flatnonzero(np.append(True, numbers[1:] != numbers[:-1]))

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        return {**super().sample(rows, index, generator), "items": rows.get("items", index)}

    def new_sample(self, question: Question, context: Ids, place: int, choices: list[list[int]]) -> Sample:
        sample = super().new_sample(question, context, place, choices)
        return {**sample, "items": items_of(question.choices), "name": question.name}

    def carried(self, sample: Sample) -> Sample:
        return {name: sample[name] for name in ("items", "label")}

    # -- predictions -------------------------------------------------------------------------------------------

    def combine(self, samples: list[Sample], predictions: list[dict[str, Any]]) -> dict[str, Any]:
        """The predictions for the blanks of a record, in order."""
        found = self._different(samples, predictions) if self.one_to_one else predictions
        names = [{"blank": sample["name"]} if "name" in sample else {} for sample in samples]
        return {"blanks": [{**name, **each} for name, each in zip(names, found, strict=True)]}

    def _different(self, samples: list[Sample], predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Predictions with different choices for all blanks; if several targets predict, for each of them."""
        if "label" in predictions[0]:
            items = [sample["items"] for sample in samples]
            labels = assigned(items, [each["probabilities"] for each in predictions])
            return [{**each, "label": label} for each, label in zip(predictions, labels)]
        chosen = {
            target: self._different(samples, [each[target] for each in predictions])
            for target, own in predictions[0].items()
            if _is_choice(own)
        }
        return [{**each, **{name: own[n] for name, own in chosen.items()}} for n, each in enumerate(predictions)]

    @property
    def has_metrics(self) -> bool:
        return self.one_to_one

    def score(self, predictions: list[dict[str, Any]], samples: list[list[Sample]]) -> dict[str, Any]:
        """The share of blanks that get the right one of different choices; of several targets, the first one counts."""
        right = [
            _label_of(blank) == sample["label"]
            for found, own in zip(predictions, samples, strict=True)
            for blank, sample in zip(found["blanks"], own, strict=True)
        ]
        return {"assigned_accuracy": (sum(right), len(right))}


def _is_choice(prediction: Any) -> bool:
    return isinstance(prediction, Mapping) and "label" in prediction


def _label_of(prediction: Mapping[str, Any]) -> int:
    own = prediction if _is_choice(prediction) else next(filter(_is_choice, prediction.values()))
    return int(own["label"])


def items_of(texts: list[str]) -> NDArray[np.int64]:
    """The identities of texts, (texts,): equal for equal texts."""
    return np.array([item_id(text.strip().encode()) for text in texts], dtype=np.int64)


def assigned(items: Sequence[NDArray[np.int64]], probabilities: Sequence[Sequence[float]]) -> list[int]:
    """The index of the choice of each blank, if all blanks get different choices and are most probable together.

    Args:
        items: the identities of the choices of each blank; equal choices of different blanks have the same.
        probabilities: the probabilities of the choices of each blank.
    """
    scores, columns = _scores(items, [np.log(np.fmax(each, _LEAST)) for each in probabilities])
    found = best_assignment(scores)
    return [int(np.flatnonzero(columns[own] == column)[0]) for own, column in enumerate(found)]


def _scores(
    items: Sequence[NDArray[np.int64]], values: Sequence[Any]
) -> tuple[NDArray[np.float64], list[NDArray[np.int64]]]:
    """Scores (blanks, different choices), and the column of each choice of each blank."""
    every, inverse = np.unique(np.concatenate(items), return_inverse=True)
    columns = np.split(inverse, np.cumsum([len(own) for own in items])[:-1])
    scores = np.full((len(items), len(every)), _NONE)
    for row, own, value in zip(scores, columns, values):
        np.maximum.at(row, own, value)
    return scores, columns


def _check_assignable(record: Record, choices: Sequence[Choices]) -> None:
    items = [items_of(own.texts) for own in choices]
    scores, _ = _scores(items, [np.zeros(len(own)) for own in items])
    blanks, count = scores.shape
    if blanks > count:
        why = f"{blanks} blanks have only {count} different choices"
    elif scores[np.arange(blanks), best_assignment(scores)].sum() < _REAL:
        why = "some blanks have too few that others do not need"
    else:
        return
    raise _error(record, f"one_to_one needs a different choice for each blank, but {why}")


def _texts(record: Record) -> list[str]:
    """The texts with blanks.

    Raises:
        DataError: there are none.
    """
    value = record.value.get("context")
    if isinstance(value, (list, tuple)):
        return texts_of(record, value, "context")
    text = text_field(record, "context")
    if text is None:
        raise missing_field(record, "'context'")
    return [text]


def _choices(record: Record, blanks: int) -> list[Choices]:
    """The choices of each blank.

    Raises:
        DataError: a blank has fewer than two choices, or the lists of choices are not as many as the blanks.
    """
    value = record.value.get("choices")
    if not (isinstance(value, (list, tuple)) and value and all(isinstance(own, (list, tuple)) for own in value)):
        return [read_choices(record)] * blanks
    if len(value) != blanks:
        raise _error(record, f"'choices' has {len(value)} lists, but 'context' has {blanks} blanks")
    return [Choices(need_choices(texts_of(record, own, f"choices[{n}]"), record)) for n, own in enumerate(value)]


def _labels(record: Record, names: Sequence[str]) -> list[Any]:
    """The label of each blank.

    Raises:
        DataError: labels are missing, or there are more labels or fewer than blanks.
    """
    value = record.value.get("label")
    if value is None:
        raise missing_field(record, "'label'")
    if isinstance(value, Mapping):
        if len({*names}) < len(names):
            raise _error(record, "'label' has labels by blank, but several blanks are the same; expected a list")
        if absent := [name for name in names if value.get(name) is None]:
            raise _error(record, f"'label' has no label for the blank {absent[0]}")
        return [value[name] for name in names]
    given = list(value) if isinstance(value, (list, tuple)) else [value]
    if len(given) != len(names):
        raise _error(record, f"'label' has {len(given)} labels, but 'context' has {len(names)} blanks")
    return given


def _error(record: Record, message: str) -> DataError:
    return DataError(message, file=record.file, line=record.line)
