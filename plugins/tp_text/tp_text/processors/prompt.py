"""Records in a template with a place for a word, which a language model scores."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tp_core.data.fields import is_blank, required_text
from tp_core.data.padding import lengths_of, padded, width_of
from tp_core.errors import DataError, TPError
from tp_core.interfaces import IGNORE, Batch, Inputs, Record, Report, Rows, Sample, Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.prompt_options import PromptProcessorConfig
from tp_text.processors.prompt_template import Filled, Template, alike, cuts, token_spans, without_ends
from tp_text.processors.prompt_words import problems_with
from tp_text.processors.reading import CHUNK
from tp_text.processors.text import TextProcessor

#: The path of the processor's options, for messages.
PATH = "data.processor.prompt"

#: The names of a record's first text, which stand for each other.
_FIRST = ("text_a", "text")


class PromptProcessor(TextProcessor):
    """Fills the fields of a record into a template. Subclasses make the sequences in which words are scored.

    A sample has the ids of its sequences one after the other in ``input_ids``, their ``lengths``, and the labels of
    :class:`tp_text.targets.prompt.PromptTarget` without the dimension of the batch. A text that is too long is cut at
    the end of its fields, always of the one with the most tokens; the template itself is never cut.

    Raises:
        TPError: the vocabulary does not know a word, or the template leaves no room for a text.
    """

    def __init__(self, config: PromptProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        names = config.words()
        if config.template is None or not names:
            raise TPError(f"{PATH}: needs a template and the words of the classes (verbalizer)")
        self.template = Template(config.template)
        self.classes = config.record_labels(data)
        scoring = config.scoring or "masked"
        for problem in problems_with(tokenizer, self.template, names, scoring, self.max_length):
            raise TPError(f"{PATH}.{problem.option}: {problem.message}")
        self.words = [list(words) for words in names.values()]
        #: (class, number within the class) of each word.
        self.places = [(number, place) for number, own in enumerate(self.words) for place in range(len(own))]
        self.shape = (len(self.words), max(map(len, self.words)))

    # -- rows --------------------------------------------------------------------------------------------------

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        chunk: list[tuple[Record, dict[str, str], dict[str, Any]]] = []
        for record in records:
            try:
                if is_blank(record):
                    continue
                values = self.values(record)
                if not any(values.values()):
                    raise DataError("the text is empty", file=record.file, line=record.line)
                chunk.append((record, values, self.classes.read(record)))
            except DataError as error:
                report(error)
                continue
            if len(chunk) == CHUNK:
                yield self._columns(chunk, report)
                chunk = []
        yield self._columns(chunk, report)

    def values(self, record: Record) -> dict[str, str]:
        """The texts of the template's fields.

        Raises:
            DataError: a field is missing or no text.
        """
        found = {}
        for name in self.template.fields:
            names = (name, *(other for other in _FIRST if other != name)) if name in _FIRST else (name,)
            found[name] = required_text(record, *names).strip()
        return found

    def _columns(
        self, chunk: list[tuple[Record, dict[str, str], dict[str, Any]]], report: Report
    ) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {}
        made = self.filled_rows([(record, values) for record, values, _ in chunk], report)
        for row, (_, _, labels) in zip(made, chunk):
            for name, value in {**row, **labels}.items() if row is not None else ():
                columns.setdefault(name, []).append(value)
        return columns

    @abstractmethod
    def filled_rows(self, given: list[tuple[Record, dict[str, str]]], report: Report) -> list[dict[str, Any] | None]:
        """The rows of records with the texts of their fields, without labels; None for a record that is reported."""

    @abstractmethod
    def placed(self, row: dict[str, Any]) -> Sample:
        """The sample of a row, without labels of classes."""

    def cut_ids(
        self, given: Sequence[list[tuple[Filled, list[int]]]], most: int, records: list[Record], report: Report
    ) -> list[list[tuple[list[int], list[int]]] | None]:
        """Cut the texts of records to ``most`` ids.

        Args:
            given: for each record, its texts with their ids; the texts differ in the word only.

        Returns:
            For each text of a record, the ids and their places before; None for a record that is reported.
        """
        long = {n for n, texts in enumerate(given) if any(len(ids) > most for _, ids in texts)}
        spans = iter(token_spans([text for n in sorted(long) for text in given[n]], self.ids_of))
        found: list[list[tuple[list[int], list[int]]] | None] = []
        for n, (texts, record) in enumerate(zip(given, records)):
            if n not in long:
                found.append([(ids, list(range(len(ids)))) for _, ids in texts])
                continue
            own = alike([next(spans) for _ in texts], texts[0][0])
            lengths = [min(end - start for start, end in each) for each in zip(*own)]
            try:
                removed = cuts(lengths, max(len(ids) for _, ids in texts) - most)
            except ValueError:
                message = f"the template leaves no room for the texts: max_length is {self.max_length}"
                report(DataError(message, file=record.file, line=record.line))
                found.append(None)
                continue
            found.append([without_ends(ids, each, removed) for (_, ids), each in zip(texts, own)])
        return found

    @abstractmethod
    def ids_of(self, texts: list[str]) -> list[list[int]]:
        """The ids of texts, without special tokens around them."""

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        row = {name: rows.get(name, index) for name in self.row_columns}
        return {**self.placed(row), **self.classes.of_row(rows, index)}

    #: Names of the columns of rows, beside those of labels.
    row_columns: tuple[str, ...] = ()

    # -- batches -----------------------------------------------------------------------------------------------

    def collate(self, samples: list[Sample]) -> Batch:
        sequences = [ids for each in samples for ids in np.split(each["input_ids"], np.cumsum(each["lengths"])[:-1])]
        lengths = lengths_of(sequences)
        width = width_of(lengths, self.max_length, self.pad_to == "max_length")
        source: Inputs = {"input_ids": padded(sequences, width, self.pad)} | self.more_inputs(lengths, width)
        counts = [len(each["lengths"]) for each in samples]
        numbers = np.split(np.arange(len(sequences)), np.cumsum(counts)[:-1])
        labels = {**self.classes.labels(samples), "prompt": self._places(samples)}
        return Batch.of(source, len(samples), labels=labels, sequences=_stacked(numbers, -1))

    @abstractmethod
    def more_inputs(self, lengths: NDArray[np.int64], width: int) -> Inputs:
        """Inputs besides the ids, for sequences of these lengths."""

    @staticmethod
    def _places(samples: list[Sample]) -> Inputs:
        fill = {"rows": 0, "positions": 0, "ids": IGNORE, "slots": 0}
        return {name: _stacked([each[name] for each in samples], value) for name, value in fill.items()}

    # -- inference ---------------------------------------------------------------------------------------------

    def search_sides(self) -> None:
        """None, because a text is read in its template."""

    def encode(self, records: list[Record]) -> list[Sample]:
        made = self.filled_rows([(record, self.values(record)) for record in records], _raise)
        return [self.placed(row) for row in made if row is not None]

    def describe(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Replace class numbers by class names."""
        return self.classes.named(predictions)


def _stacked(values: Sequence[NDArray[Any]], fill: int) -> torch.Tensor:
    """Arrays of one number of dimensions in one tensor, filled up to the largest sizes: (arrays, ...)."""
    sizes = np.max([each.shape for each in values], axis=0)
    found = np.full((len(values), *sizes), fill, dtype=np.int64)
    for into, each in zip(found, values):
        into[tuple(map(slice, each.shape))] = each
    return torch.from_numpy(found)


def _raise(error: DataError) -> None:
    raise error
