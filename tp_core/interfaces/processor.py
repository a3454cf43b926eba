"""Processors stand before the model: they turn records into samples and samples into batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tp_core.errors import TPError
from tp_core.interfaces.batch import Batch
from tp_core.interfaces.framing import Frame
from tp_core.interfaces.record import Record, Report
from tp_core.interfaces.target import MetricState

#: One training sample: named arrays of one sample, as a processor's ``collate`` wants them.
Sample = dict[str, Any]


class Rows(ABC):
    """Prepared instances, read at random: what a processor wrote to the cache."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def get(self, column: str, index: int) -> Any:
        """One cell, as the processor wrote it: see :meth:`Processor.prepare`.

        Returns:
            Python's bool, int or float for a single number; else an array of the cell's shape and the column's type of
            numbers, which views the cache's memory and is read-only. Bytes are uint8 of one dimension.
        """

    def lengths(self, column: str) -> NDArray[np.int64]:
        """Lengths of the first dimension of each cell of a column of arrays, (rows,)."""
        return np.fromiter((len(self.get(column, i)) for i in range(len(self))), np.int64, len(self))

    def integers(self, column: str) -> NDArray[np.int64]:
        """All cells of a column of integers, (rows,)."""
        return np.fromiter((self.get(column, i) for i in range(len(self))), np.int64, len(self))


@dataclass(frozen=True)
class GenerationTokens:
    """The ids that a generated text begins and ends with.

    Attributes:
        start: what the decoder's side begins with: T5's ``(pad,)``, BART's ``(eos, bos)``. Empty for a model without a
            decoder, which goes on from the record itself.
        end: a text is over at any of these; they are no part of it.
        pad: fills rows that are shorter than others.
        inputs: values of further inputs at each written token, such as ``{"token_type_ids": 1}``; where none is given,
            the value at the prompt's last token.
        ids: the ids that may be written; None for those of the tokenizer.
    """

    start: tuple[int, ...] = ()
    end: tuple[int, ...] = ()
    pad: int = 0
    inputs: Mapping[str, int] = field(default_factory=dict)
    ids: range | None = None


@dataclass(frozen=True)
class PromptRoom:
    """The limit on the prompt of a generated text.

    Attributes:
        length: the largest number of tokens, special ones included; None if the model sets no limit below the
            processor's.
        side: the end at which a longer prompt is cut: its beginning (``left``) or its end (``right``).
    """

    length: int | None = None
    side: Literal["left", "right"] = "left"


class Processor(ABC):
    """Turns records into training instances for a set of targets, in two steps.

    :meth:`prepare` is slow and deterministic and its result is cached; :meth:`sample` is fast and may be random, with
    the generator it is given and no other, so that a sample is a function of (seed, epoch, index).
    """

    @abstractmethod
    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        """Yield chunks of rows as columns: each a list with a cell for every row, the same columns in each chunk.

        All cells of a column are single numbers (bool, int, float), or all are bytes, or all are arrays of one number
        of dimensions: NumPy's, tensors, or lists, nested or not. Their shapes may differ. Numbers are bool, integers,
        and floats of 16, 32 or 64 bits, and none is changed. Where the types of a column's cells differ, it has the one
        that NumPy joins them to, if that holds each number exactly. Python's ints count as int64 and floats as float64,
        but lists of ints are int32 where that holds them all, else int64 or uint64. All else is an error.

        A record that cannot be used is given to ``report``, which raises or counts it, as the spec says.
        """

    def remarks(self) -> list[str]:
        """Lines for the user on the data that were prepared last, beside records that were skipped.

        It is said when data have been prepared, and again when they are taken from the cache.
        """
        return []

    @abstractmethod
    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        """The sample at ``index``."""

    def evaluation_sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        """The sample at ``index`` as evaluations see it: one that augments in training does not do so here."""
        return self.sample(rows, index, generator)

    @property
    def read_ahead(self) -> int:
        """Most records that inference encodes together, all in memory, to put those of like length into a batch."""
        return 4096

    @abstractmethod
    def encode(self, records: list[Record]) -> list[Sample]:
        """Samples for inference, from records without labels and without randomness."""

    def describe(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Predictions in the user's terms: names of classes for their numbers, tokens for ids."""
        return predictions

    @property
    def has_metrics(self) -> bool:
        """True if the processor has metrics of its own."""
        return type(self).score is not Processor.score

    def score(self, predictions: list[dict[str, Any]], batch: Batch) -> Mapping[str, MetricState]:
        """Metrics of an evaluation that need the data's own terms, such as an error rate of words.

        Predictions are made for it only where a processor overrides it. Its config declares the metrics
        (``ProcessorConfig.measures``).

        Args:
            predictions: ``Model.predict`` of the batch, one per sample.
            batch: with labels, on the model's device.

        Returns:
            Name → the metric of this batch, numbers or arrays: (sum, count), or as of a target.
        """
        return {}

    @abstractmethod
    def collate(self, samples: list[Sample]) -> Batch:
        """Stack samples into a batch."""

    def frame(self, pair: bool = False) -> Frame | None:
        """The special tokens that :meth:`encode` puts around a text, or around and between the texts of a pair.

        None: it reads no texts.
        """
        return None

    def prompts(self, records: list[Record], room: PromptRoom) -> list[Sample]:
        """Samples of what generation goes on from; those of :meth:`encode` unless it is more than that.

        A prompt that is too long is cut, and its sample says by how many tokens: ``truncated``. Special tokens stay.

        Raises:
            DataError: a record has no text, or what must stay of it has no room.
        """
        return self.encode(records)

    def generation(self) -> GenerationTokens:
        """The tokens with which generated texts begin and end.

        Generation calls :meth:`prompts` and :meth:`collate` for the records. In an encoder-decoder model, the batch is
        the source side, and the target side begins with ``start``. In a causal model, the batch is the prompt, up to
        the place where the text continues and without tokens that would end it. Its padding may be on the right and is
        moved to the left.

        Raises:
            TPError: the processor is not for models that generate.
        """
        raise TPError(f"{type(self).__name__} is not for generation: it does not say how texts begin and end")

    def decode(self, ids: list[int], prompt: list[int] | None = None) -> str:
        """The text of generated ids: without start and end, of the target side where there are two.

        Args:
            prompt: the ids that the text goes on from, for the space between the two; None for a text of its own.

        Raises:
            TPError: the processor is not for models that generate.
        """
        raise TPError(f"{type(self).__name__} is not for generation: it cannot turn ids into a text")
