"""T5's training samples: running text with hidden spans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tp_core.data.padding import Ids
from tp_core.errors import TPError
from tp_core.interfaces import Record, Report, Rows, Sample, Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.packing import packed_rows
from tp_text.processors.sentinels import find_sentinels
from tp_text.processors.seq2seq import EncoderDecoderProcessor
from tp_text.processors.span_corruption_options import SpanCorruptionProcessorConfig
from tp_text.processors.span_lengths import SpanLengths


class SpanCorruptionProcessor(EncoderDecoderProcessor):
    """Packs documents, one per line, into rows across documents and hides spans (Raffel et al., 2020).

    The row length is chosen so that the source fits into ``max_length`` after the spans are hidden. The hidden spans
    are drawn anew each time a row is read.
    """

    def __init__(self, config: SpanCorruptionProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        self.pack = config.pack
        self.bare_source(config.source_start)
        self.spans = config.spans()
        self.row_length = config.row_length()
        tokens = tokenizer.ids_by_token()
        self.sentinels: Ids = np.array(find_sentinels(tokens, config.sentinel_pattern), dtype=np.int32)
        if missing := config.missing_sentinels(tokens):
            raise TPError(f"data.processor: {missing}")

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        documents = (ids for texts in self.tokenized(records, report) for ids in texts.documents())
        for rows in packed_rows(documents, self.row_length, separator=None, across=self.pack):
            # A row needs at least two tokens: one hidden and one visible.
            yield {"tokens": [row for row in rows if len(row) > 1]}

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        tokens = rows.get("tokens", index)
        source, target = corrupt(tokens, span_mask(len(tokens), self.spans, generator), self.sentinels)
        return {"input_ids": self.framed(source), "target_ids": self.ended(target)}


def span_mask(length: int, spans: SpanLengths, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Boolean mask (length,), True at the hidden tokens of a row.

    The hidden spans are at random places and never adjacent. The last one is at the end of the row.
    """
    tokens, count = spans.hidden(length)
    lengths = np.empty(2 * count, dtype=np.int64)
    lengths[0::2] = _segments(length - tokens, count, generator)
    lengths[1::2] = _segments(tokens, count, generator)
    return np.repeat(np.arange(2 * count) % 2 == 1, lengths)


def _segments(total: int, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """``count`` positive lengths that add up to ``total``; all such partitions are equally likely."""
    cuts = 1 + np.sort(generator.choice(total - 1, count - 1, replace=False)) if count > 1 else np.empty(0, np.int64)
    return np.diff(np.concatenate([[0], cuts, [total]]))


def corrupt(tokens: Ids, mask: NDArray[np.bool_], sentinels: Ids) -> tuple[Ids, Ids]:
    """Source and target of a row.

    Args:
        tokens: (length,).
        mask: (length,), True where hidden.
        sentinels: one id per hidden span, and one more if the row does not end with a hidden span.

    Returns:
        The source: the row with each span replaced by a sentinel. The target: each sentinel followed by the tokens of
        its span, and a final sentinel if the row does not end with a hidden span.
    """
    first = mask & ~np.concatenate([[False], mask[:-1]])
    starts = np.flatnonzero(first)
    own = sentinels[: len(starts)]
    source = tokens.copy()
    source[starts] = own
    target = np.insert(tokens, starts, own)[np.insert(mask, starts, True)]
    if not mask[-1]:
        target = np.append(target, sentinels[len(starts)])
    return source[first | ~mask], target
