"""The processor interface: processors turn records into samples, and samples into batches for the model."""

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
from tp_core.interfaces.sides import Sides
from tp_core.interfaces.target import MetricState

#: One training sample: named arrays, in the form that the processor's ``collate`` expects.
Sample = dict[str, Any]


class Rows(ABC):
    """The rows that a processor wrote to the cache, with random access."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def get(self, column: str, index: int) -> Any:
        """One cell, as the processor wrote it (see :meth:`Processor.prepare`).

        Returns:
            A Python bool, int or float for a single number; else an array with the cell's shape and the column's dtype.
            The array is a read-only view of the cache's memory. Bytes are one-dimensional uint8 arrays.
        """

    def lengths(self, column: str) -> NDArray[np.int64]:
        """The length of the first dimension of each cell in a column of arrays, (rows,)."""
        return np.fromiter((len(self.get(column, i)) for i in range(len(self))), np.int64, len(self))

    def integers(self, column: str) -> NDArray[np.int64]:
        """All values of a column of integers, (rows,)."""
        return np.fromiter((self.get(column, i) for i in range(len(self))), np.int64, len(self))


@dataclass(frozen=True)
class GenerationTokens:
    """The ids that a generated text begins and ends with.

    Attributes:
        start: the ids with which the decoder side begins: ``(pad,)`` in T5, ``(eos, bos)`` in BART. Empty for a model
            without a decoder, which continues the prompt.
        end: the ids that end a text; they are not part of it.
        pad: the id that pads shorter rows.
        inputs: the values of other inputs at each generated token, such as ``{"token_type_ids": 1}``. An input that is
            not listed keeps its value at the prompt's last token.
        ids: the ids that may be generated; None for all ids of the tokenizer.
    """

    start: tuple[int, ...] = ()
    end: tuple[int, ...] = ()
    pad: int = 0
    inputs: Mapping[str, int] = field(default_factory=dict)
    ids: range | None = None


@dataclass(frozen=True)
class PromptRoom:
    """The maximum length of a prompt.

    Attributes:
        length: maximum number of tokens, special tokens included; None if the model has no limit below that of the
            processor.
        side: the side on which a longer prompt is truncated: its beginning (``left``) or its end (``right``).
    """

    length: int | None = None
    side: Literal["left", "right"] = "left"


class Processor(ABC):
    """Turns records into training instances for a set of targets, in two steps.

    :meth:`prepare` is slow and deterministic; its result is cached. :meth:`sample` is fast and may be random, but only
    through the generator that it receives, so that a sample is a function of (seed, epoch, index).
    """

    @abstractmethod
    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        """Yield chunks of rows, each as a dictionary of columns.

        A column is a list with one cell per row. All chunks have the same columns. The cells of one column are of one
        kind: single numbers (bool, int, float), bytes, or arrays with the same number of dimensions (NumPy arrays,
        tensors, or possibly nested lists). The shapes of arrays may differ.

        Supported dtypes are bool, integers, and floats of 16, 32 or 64 bits. Values are stored exactly. If the dtypes
        of cells differ, the column gets NumPy's common dtype, provided that it represents every value exactly. Python
        ints count as int64 and floats as float64. Lists of ints become int32 if all values fit, else int64 or uint64.
        Anything else is an error.

        A record that cannot be used is passed to ``report``, which raises or counts it, as the spec says.
        """

    def remarks(self) -> list[str]:
        """Messages for the user about the data prepared last, in addition to the report on skipped records.

        They are shown after data are prepared, and again when the data are read from the cache.
        """
        return []

    @abstractmethod
    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        """The sample at ``index``."""

    def evaluation_sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        """The sample at ``index`` for evaluation, without the augmentation that :meth:`sample` applies."""
        return self.sample(rows, index, generator)

    @property
    def read_ahead(self) -> int:
        """Maximum number of records that inference encodes at once, to put records of similar length into a batch.

        All of them are in memory at the same time.
        """
        return 4096

    @abstractmethod
    def encode(self, records: list[Record]) -> list[Sample]:
        """Samples for inference, one per record, from records without labels and without randomness."""

    def divide(self, records: list[Record]) -> list[list[Sample]]:
        """The samples of each record for predictions; by default the one of :meth:`encode`.

        A record may need several samples: windows of a long document, or the blanks of a text. :meth:`combine` makes
        one prediction of theirs. Evaluations divide records in the same way: :meth:`prepare` writes the rows of a
        record one after the other, and :meth:`record_starts` tells where they begin.
        """
        return [[sample] for sample in self.encode(records)]

    def combine(self, samples: list[Sample], predictions: list[dict[str, Any]]) -> dict[str, Any]:
        """The prediction for a record; by default that of its only sample.

        Args:
            samples: the record's samples, from :meth:`divide`, or from :meth:`evaluation_sample` through
                :meth:`carried`.
            predictions: their predictions, from :meth:`describe`.
        """
        (prediction,) = predictions
        return prediction

    def record_starts(self, rows: Rows) -> NDArray[np.int64] | None:
        """The index of the first row of each record, ascending from 0; None if every row is a record of its own."""
        return None

    def carried(self, sample: Sample) -> Sample:
        """The entries of an evaluation sample that :meth:`combine` and :meth:`score` read; by default all of them.

        With ``train.workers``, they are copied from the workers in addition to the batch. Large inputs, such as
        pictures, should be left out.
        """
        return sample

    def describe(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Predictions in readable form: class names instead of class numbers, tokens instead of ids."""
        return predictions

    @property
    def has_metrics(self) -> bool:
        """True if the processor computes metrics."""
        return type(self).score is not Processor.score

    @property
    def writes(self) -> bool:
        """True if :meth:`score` needs texts that the model generates, instead of the predictions of its targets.

        A prediction then has the ``text`` that the model generates for :meth:`question`, with the options of
        ``inference.generate``, and ``finished``, which is False if the text was cut at its maximum length.
        """
        return False

    def question(self, sample: Sample) -> Sample:
        """The part of an evaluation sample that a generated text continues, or that a decoder reads; see
        :attr:`writes`."""
        raise TPError(f"{type(self).__name__} is not for generation: it does not say what a text continues")

    def score(self, predictions: list[dict[str, Any]], samples: list[list[Sample]]) -> Mapping[str, MetricState]:
        """Evaluation metrics that the processor computes from predictions, such as the word error rate.

        An evaluation makes predictions for this method only if the processor overrides it. The processor's config
        declares the metrics (``ProcessorConfig.measures``).

        Args:
            predictions: the results of :meth:`combine`, one per record, as ``tp predict`` would write them.
            samples: the evaluation samples of each record (:meth:`carried`), which have the labels.

        Returns:
            Name → the metric of these records, numbers or arrays: (sum, count), or as in :class:`TargetOutput`.
        """
        return {}

    @abstractmethod
    def collate(self, samples: list[Sample]) -> Batch:
        """Stack samples into a batch."""

    def frame(self, pair: bool = False) -> Frame | None:
        """The special tokens that :meth:`encode` puts around a text, or around and between the texts of a pair.

        None for a processor that reads no texts.
        """
        return None

    def longest_text(self) -> int | None:
        """Maximum number of tokens that an evaluation generates, if ``inference.generate`` does not limit them."""
        return None

    def search_sides(self) -> Sides | None:
        """The two sides of records between which ``tp retrieve`` searches; None if the records have no such sides."""
        return None

    def prompts(self, records: list[Record], room: PromptRoom) -> list[Sample]:
        """The prompts of generation as samples; by default those of :meth:`encode`.

        A prompt that is too long is truncated, and its sample has the number of removed tokens in ``truncated``.
        Special tokens are kept.

        Raises:
            DataError: a record has no text, or the part that must be kept does not fit.
        """
        return self.encode(records)

    def generation(self) -> GenerationTokens:
        """The tokens with which generated texts begin and end.

        Generation calls :meth:`prompts` and :meth:`collate` for the records. In an encoder-decoder model, the batch is
        the source side, and the target side begins with ``start``. In a causal model, the batch is the prompt, without
        tokens that would end the text. Its padding may be on the right; generation moves it to the left.

        Raises:
            TPError: the processor is not for models that generate.
        """
        raise TPError(f"{type(self).__name__} is not for generation: it does not say how texts begin and end")

    def decode(self, ids: list[int], prompt: list[int] | None = None) -> str:
        """The text of generated ids.

        Args:
            ids: generated ids without start and end tokens; in an encoder-decoder model, those of the target side.
            prompt: the ids that the text continues, which decide on a space at its beginning; None for a text that
                continues no prompt.

        Raises:
            TPError: the processor is not for models that generate.
        """
        raise TPError(f"{type(self).__name__} is not for generation: it cannot turn ids into a text")
