"""BERT's and ALBERT's training samples: pairs of segments of running text."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch

from tp_core.data.sampling.order import PREPARE, Generators
from tp_core.errors import DataError
from tp_core.interfaces import IGNORE, Inputs, Record, Report, Rows, Sample, Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.bert_options import BertProcessorConfig
from tp_text.processors.filling import SentenceRows
from tp_text.processors.masking import Masking
from tp_text.processors.text import TextProcessor

_WRITE = 1000
#: Maximum number of draws of a random segment. A draw is repeated if the segment is from the same document, or if it
#: equals the text that really follows.
_TRIES = 16


class BertProcessor(TextProcessor):
    """Makes pairs of segments from text with one sentence per line and a blank line between documents.

    A row holds consecutive sentences of one document. Two things are drawn anew each time a row is read: the place
    where it is cut into two segments, and the choice to replace the second segment by text of another document.
    """

    def __init__(self, config: BertProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        self.task, self.short_rate = config.sentence_task, config.short_rate
        self.masking = Masking(config, tokenizer, config.max_length)
        self._draws = Generators(0, PREPARE)
        self.room = config.max_length - self.special_count(pair=config.sentence_task != "none")

    # -- rows --------------------------------------------------------------------------------------------------

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        filling = SentenceRows(self.room, self._target)
        for texts in self.tokenized(records, report):
            filling.add(texts)
            if len(filling.rows["document"]) >= _WRITE:
                yield filling.take()
        filling.end_document()
        if self.task == "next" and filling.documents == 1:
            file, line = filling.place
            raise DataError(
                "next-sentence prediction draws from other documents, and the corpus holds only one; put a blank "
                "line between documents, or use sentence_task: order",
                file=file,
                line=line,
            )
        yield filling.take()

    def _target(self, number: int) -> int:
        """Length to fill a row to: usually the maximum, sometimes less, because downstream texts may be short."""
        draw = self._draws(0, number)
        return int(draw.integers(min(2, self.room), self.room + 1)) if draw.random() < self.short_rate else self.room

    # -- samples -----------------------------------------------------------------------------------------------

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        tokens, lengths = rows.get("tokens", index), rows.get("lengths", index)
        label = None
        if self.task == "none":
            sample = self.assemble(tokens)
        else:
            first, second, label = self._pair(rows, index, tokens, lengths, generator)
            sample = self.assemble(first, second)
        self.masking(sample, generator)
        sample["sp"] = label
        return sample

    def _pair(
        self, rows: Rows, index: int, tokens: Any, lengths: Any, generator: np.random.Generator
    ) -> tuple[Any, Any, int | None]:
        """Two segments and their label: 0 if the second follows the first, 1 if it does not, None if undecidable."""
        ends = np.cumsum(lengths)
        single = len(lengths) < 2
        cut = int(ends[generator.integers(len(ends) - 1)]) if not single else len(tokens) // 2
        swap = generator.random() < 0.5
        if self.task == "order":
            first, second = tokens[:cut], tokens[cut:]
            if len(tokens) < 2 or np.array_equal(first, second):  # one token, or two equal segments, have no order
                return first, second, None
            return (second, first, 1) if swap else (first, second, 0)
        if not (swap or single):
            return tokens[:cut], tokens[cut:], 0
        first, text = (tokens, _with_next_row(rows, index)) if single else (tokens[:cut], tokens)
        for _ in range(_TRIES):
            second = self._from_other_document(rows, index, generator)
            own, others = self._kept(len(first), len(second), generator)
            if not _begin_alike(second[others], text[own.stop :]):
                break
        else:  # all other documents are copies of this one
            return first[own], second[others], 0
        return first[own], second[others], 1

    @staticmethod
    def _from_other_document(rows: Rows, index: int, generator: np.random.Generator) -> Any:
        """Text of another document, beginning at a random sentence."""
        own = rows.get("document", index)
        for _ in range(_TRIES):
            other = int(generator.integers(len(rows)))
            if rows.get("document", other) != own:
                break
        else:  # one document holds nearly all rows; rows are sorted by document, so bisection finds its range
            documents = range(len(rows))
            begin = bisect.bisect_left(documents, own, key=lambda row: rows.get("document", row))
            end = bisect.bisect_right(documents, own, key=lambda row: rows.get("document", row))
            other = int(generator.integers(len(rows) - (end - begin)))
            other += (end - begin) if other >= begin else 0
        tokens, lengths = rows.get("tokens", other), rows.get("lengths", other)
        begins = np.cumsum(lengths) - lengths
        return tokens[int(begins[generator.integers(len(begins))]) :]

    def _kept(self, first: int, second: int, generator: np.random.Generator) -> tuple[slice, slice]:
        """Slices that shorten two segments of these lengths until both fit into one row.

        Tokens are removed from the longer segment, one by one, at a random end (Devlin et al., 2019).
        """
        over = max(0, first + second - self.room)
        longer = min(over, abs(first - second))
        cuts = [(over - longer + 1) // 2, (over - longer) // 2]
        cuts[0 if first >= second else 1] += longer
        fronts = [int(generator.binomial(cut, 0.5)) if over else 0 for cut in cuts]
        kept = [slice(front, length - (cut - front)) for length, cut, front in zip((first, second), cuts, fronts)]
        return kept[0], kept[1]

    def labels(self, samples: list[Sample]) -> dict[str, Inputs]:
        if "mlm_positions" not in samples[0]:
            return self.mask_labels(samples)
        labels: dict[str, Inputs] = {"mlm": self.masking.labels(samples)}
        if self.task != "none":
            values = [IGNORE if s["sp"] is None else s["sp"] for s in samples]
            labels["sp"] = {"labels": torch.tensor(values)}
        return labels


def _with_next_row(rows: Rows, index: int) -> Any:
    """The tokens of a row, followed by the tokens of the next row if that belongs to the same document."""
    tokens = rows.get("tokens", index)
    if index + 1 < len(rows) and rows.get("document", index + 1) == rows.get("document", index):
        return np.concatenate([tokens, rows.get("tokens", index + 1)])
    return tokens


def _begin_alike(one: Any, other: Any) -> bool:
    """True if the shorter text is a prefix of the other."""
    length = min(len(one), len(other))
    return length > 0 and np.array_equal(one[:length], other[:length])
