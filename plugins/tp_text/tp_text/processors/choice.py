"""Multiple choice: a question with its choices, each in a sequence of its own."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tp_core.data.fields import missing_field, text_field
from tp_core.data.padding import Ids, joined
from tp_core.errors import DataError
from tp_core.interfaces import IGNORE, Batch, Inputs, Record, Report, Rows, Sample, Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.choice_options import ChoiceOptions, ChoiceProcessorConfig
from tp_text.processors.choices import ChoiceLabels, read_choices, texts_of
from tp_text.processors.text import TextProcessor

#: Number of questions whose texts are tokenized together.
_CHUNK = 512


@dataclass(frozen=True)
class Question:
    """A question with its choices.

    Attributes:
        record: its record.
        context: the parts of the context, texts and ids of tokens between them; empty without a context.
        place: number of the part that is kept if the context is cut.
        texts: the text of each choice in its sequence, which may include the question.
        choices: the text of each choice.
        name: name of the question in predictions; empty if it has none.
        label: index of the right choice; None if it is not known.
    """

    record: Record
    context: tuple[str | int, ...]
    place: int
    texts: list[str]
    choices: list[str]
    name: str = ""
    label: int | None = None


class MultipleChoiceProcessor(TextProcessor):
    """Base of the processors of questions with choices.

    A sample is a question, and has a sequence for each choice: the context and the choice, with the special tokens of
    a pair around them. Without a context, the sequence has the choice alone. The context is cut if a sequence is too
    long; choices never are.
    """

    #: Minimum number of ids of a context that are kept.
    least_context = 0

    def __init__(self, config: ChoiceOptions, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        self.context_first = config.layout == "context_choice"
        self.reader = ChoiceLabels(config.label_form, config.first_index, "label_form of the processor")

    @property
    def read_ahead(self) -> int:
        return 512

    @abstractmethod
    def questions(self, record: Record, labelled: bool) -> list[Question]:
        """The questions of a record.

        Raises:
            DataError: the record lacks something, or the label names none of the choices.
        """

    # -- rows --------------------------------------------------------------------------------------------------

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        chunk: list[list[Question]] = []
        size = number = 0
        for record in records:
            try:
                chunk.append(self.questions(record, labelled=True))
            except DataError as error:
                report(error)
                continue
            size += len(chunk[-1])
            if size >= _CHUNK:
                yield self._columns(chunk, number, report)
                number, size, chunk = number + len(chunk), 0, []
        yield self._columns(chunk, number, report)

    def _columns(self, chunk: list[list[Question]], number: int, report: Report) -> dict[str, list[Any]]:
        """The rows of the records' questions; a record with a question that is too long is reported."""
        columns: dict[str, list[Any]] = {}
        encoded = iter(self._encoded([question for own in chunk for question in own]))
        for record, own in enumerate(chunk, number):
            parts = [next(encoded) for _ in own]
            try:
                cut = [self._cut(question, *each) for question, each in zip(own, parts)]
            except DataError as error:
                report(error)
                continue
            for question, each in zip(own, cut):
                for name, cell in self.cells(question, record, *each).items():
                    columns.setdefault(name, []).append(cell)
        return columns

    def cells(
        self, question: Question, record: int, context: Ids, place: int, choices: list[list[int]]
    ) -> dict[str, Any]:
        """The row of a question.

        Args:
            record: number of its record.
            context: the ids of the context.
            place: the place in them that is kept.
            choices: the ids of each choice.
        """
        ends = np.cumsum(list(map(len, choices)), dtype=np.int32)
        return {"context": context, "place": place, "choices": joined(*choices), "ends": ends, "label": question.label}

    def _encoded(self, questions: list[Question]) -> Iterator[tuple[Ids, int, list[list[int]]]]:
        """The ids of each question's context, the place in them that is kept, and the ids of each choice."""
        texts = [text for q in questions for text in (*q.context, *q.texts) if isinstance(text, str)]
        ids = iter(self.tokenizer.encode_batch(texts))
        for question in questions:
            parts = [next(ids) if isinstance(part, str) else [part] for part in question.context]
            place = sum(map(len, parts[: question.place]))
            yield joined(np.empty(0, np.int32), *parts), place, [next(ids) for _ in question.texts]

    def _cut(
        self, question: Question, context: Ids, place: int, choices: list[list[int]]
    ) -> tuple[Ids, int, list[list[int]]]:
        """The question with its context cut to what its shortest choice leaves.

        Raises:
            DataError: a choice is too long.
        """
        room = self.max_length - self.special_count(bool(len(context)))
        longest = max(range(len(choices)), key=lambda number: len(choices[number]))
        if len(choices[longest]) > room - (self.least_context if len(context) else 0):
            raise DataError(
                f"choice {longest} has {len(choices[longest])} tokens with its question, but "
                f"max_length {self.max_length} leaves room for {room - self.least_context}; only contexts are cut",
                file=question.record.file,
                line=question.record.line,
            )
        begin, end = window(len(context), place, room - min(map(len, choices)))
        return context[begin:end], place - begin, choices

    # -- samples -----------------------------------------------------------------------------------------------

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        choices = np.split(rows.get("choices", index), rows.get("ends", index)[:-1])
        sample = self._assembled(rows.get("context", index), rows.get("place", index), choices)
        return {**sample, "label": rows.get("label", index)}

    def _assembled(self, context: Ids, place: int, choices: Sequence[Any]) -> Sample:
        made = []
        for choice in choices:
            if not len(context):
                made.append(self.assemble(choice))
                continue
            begin, end = window(len(context), place, self.max_length - self.special_count(True) - len(choice))
            pair = (context[begin:end], choice)
            made.append(self.assemble(*(pair if self.context_first else pair[::-1])))
        return {
            "input_ids": np.concatenate([each["input_ids"] for each in made]),
            "token_type_ids": np.concatenate([each["token_type_ids"] for each in made]),
            "lengths": np.array([len(each["input_ids"]) for each in made]),
        }

    def search_sides(self) -> None:
        """None, because a question and a choice are read together."""

    def divide(self, records: list[Record]) -> list[list[Sample]]:
        """A sample for each question of each record.

        Raises:
            DataError: a record lacks something, or a choice is too long.
        """
        found = [self.questions(record, labelled=False) for record in records]
        encoded = iter(self._encoded([question for own in found for question in own]))
        return [[self.new_sample(question, *next(encoded)) for question in own] for own in found]

    def new_sample(self, question: Question, context: Ids, place: int, choices: list[list[int]]) -> Sample:
        """The sample of a question without a label; for the arguments see :meth:`cells`.

        Raises:
            DataError: a choice is too long.
        """
        return self._assembled(*self._cut(question, context, place, choices))

    def encode(self, records: list[Record]) -> list[Sample]:
        """The sample of each record; of a record with several questions, that of the first one."""
        return [own[0] for own in self.divide(records)]

    # -- batches -----------------------------------------------------------------------------------------------

    def collate(self, samples: list[Sample]) -> Batch:
        """All sequences of the samples, one after the other, padded on the right."""
        counts = [len(sample["lengths"]) for sample in samples]
        inputs = self.padded_inputs(samples, np.concatenate([sample["lengths"] for sample in samples]))
        sequences = torch.full((len(samples), max(counts)), -1)
        first = 0
        for row, count in zip(sequences, counts):
            row[:count] = torch.arange(first, first + count)
            first += count
        return Batch.of(inputs, len(samples), labels=self.labels(samples), sequences=sequences)

    def labels(self, samples: list[Sample]) -> dict[str, Inputs]:
        return {"choice": {"labels": torch.tensor([sample.get("label", IGNORE) for sample in samples])}}


class ChoiceProcessor(MultipleChoiceProcessor):
    """Reads the fields ``choices``, ``label`` and, optionally, ``question`` and ``context``: a question per record."""

    def __init__(self, config: ChoiceProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        self.fields, self.template, self.blank = config.choice_fields, config.template, config.blank

    def questions(self, record: Record, labelled: bool) -> list[Question]:
        choices = read_choices(record, self.fields)
        question, context = text_field(record, "question") or "", context_of(record)
        texts = [self.text(question, choice) for choice in choices.texts]
        label = None
        if labelled:
            value = record.value.get("label")
            if value is None:
                raise missing_field(record, "'label'")
            label = self.reader.read(record, value, choices)
        return [Question(record, (context,) if context.strip() else (), 0, texts, choices.texts, label=label)]

    def text(self, question: str, choice: str) -> str:
        """The text of a choice with its question."""
        if not question.strip():
            return choice
        if self.blank is not None and self.blank in question:
            return question.replace(self.blank, choice)
        values = {"{question}": question, "{choice}": choice}
        return re.sub(r"\{question\}|\{choice\}", lambda found: values[found[0]], self.template)


def context_of(record: Record) -> str:
    """The context of a record: a text, or a list of texts, which are joined by line ends; empty if there is none.

    Raises:
        DataError: it is neither.
    """
    value = record.value.get("context")
    if isinstance(value, (list, tuple)):
        return "\n".join(texts_of(record, value, "context"))
    return text_field(record, "context") or ""


def window(length: int, place: int, room: int) -> tuple[int, int]:
    """Begin and end of at most ``room`` positions around a place, from which as much is kept on both sides if possible.

    A window inside a window of more room is the same as without the latter.
    """
    begin = max(0, min(place - room // 2, length - room))
    return begin, min(length, begin + max(0, room))
