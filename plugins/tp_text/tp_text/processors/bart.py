"""BART's training samples: text with infilled spans and permuted sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tp_core.data.padding import Ids
from tp_core.interfaces import Record, Report, Rows, Sample, Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.bart_options import BartProcessorConfig
from tp_text.processors.filling import SentenceRows
from tp_text.processors.records import WRITE
from tp_text.processors.seq2seq import EncoderDecoderProcessor, edges


class BartProcessor(EncoderDecoderProcessor):
    """Adds noise to rows of whole sentences of one document; the target is the original row (Lewis et al., 2020).

    The noise is drawn anew each time a row is read: sentences are permuted, the text is rotated, each chosen span is
    replaced by one mask token, and other tokens are deleted or masked.
    """

    def __init__(self, config: BartProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        self.head, self.tail = edges(tokenizer, ("cls", "bos"), ("sep", "eos"))
        self.target_head = () if self.start in self.head else self.head
        self.noise = config
        self.mask_token = tokenizer.special["mask"]

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        room = min(self.source_room, self.target_room)
        filling = SentenceRows(room, lambda _: room)
        for texts in self.tokenized(records, report):
            filling.add(texts)
            if len(filling.rows["tokens"]) >= WRITE:
                yield self._columns(filling)
        filling.end_document()
        yield self._columns(filling)

    @staticmethod
    def _columns(filling: SentenceRows) -> dict[str, list[Any]]:
        rows = filling.take()
        return {name: rows[name] for name in ("tokens", "lengths")}

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        tokens = rows.get("tokens", index)
        noise, mask = self.noise, self.mask_token
        source = permuted(tokens, rows.get("lengths", index), noise.permute_rate, generator)
        if noise.rotate_rate and generator.random() < noise.rotate_rate:
            source = np.roll(source, -int(generator.integers(len(source))))
        if noise.infill_rate:
            source = infilled(source, noise.infill_rate, noise.span_lambda, mask, self.source_room, generator)
        if noise.mask_rate or noise.delete_rate:
            source = thinned(source, noise.mask_rate, noise.delete_rate, mask, generator)
        return {"input_ids": self.framed(source), "target_ids": self.ended(tokens)}


def permuted(tokens: Ids, lengths: NDArray[Any], rate: float, generator: np.random.Generator) -> Ids:
    """Permute a share ``rate`` of the sentences; the others stay in place."""
    count = round(rate * len(lengths))
    if count < 2:
        return tokens
    order = np.arange(len(lengths))
    moved = np.sort(generator.permutation(len(lengths))[:count])
    order[moved] = generator.permutation(moved)
    sentences = np.split(tokens, np.cumsum(lengths)[:-1])
    return np.concatenate([sentences[number] for number in order])


def infilled(tokens: Ids, rate: float, mean: float, mask: int, room: int, generator: np.random.Generator) -> Ids:
    """Replace each of several spans by one mask; the span lengths are Poisson distributed.

    A span of length 0 inserts a mask.

    Args:
        rate: share of the tokens that lie in spans.
        room: maximum length of the result. Spans of length 0 are dropped to reach it.
    """
    wanted = round(rate * len(tokens))
    lengths = _span_lengths(wanted, mean, generator)
    empty = np.flatnonzero(lengths == 0)
    over = len(tokens) - wanted + len(lengths) - room
    if over > 0:
        lengths = np.delete(lengths, empty[: min(over, len(empty))])
    # The row is a sequence of single tokens and spans; every arrangement of the spans is equally likely.
    size = len(tokens) - wanted + len(lengths)
    spans = np.zeros(size, dtype=np.bool_)
    spans[generator.choice(size, len(lengths), replace=False)] = True
    steps = np.ones(size, dtype=np.int64)
    steps[spans] = generator.permutation(lengths)
    starts = np.cumsum(steps) - steps
    result: Ids = np.where(spans, np.int32(mask), tokens[np.minimum(starts, len(tokens) - 1)])
    return result


def _span_lengths(wanted: int, mean: float, generator: np.random.Generator) -> NDArray[np.int64]:
    """Poisson distributed lengths that add up to ``wanted``; the last one is shortened to match the sum."""
    drawn = np.empty(0, dtype=np.int64)
    while wanted and drawn.sum() < wanted:
        drawn = np.concatenate([drawn, generator.poisson(mean, size=8 + int(2 * wanted / mean))])
    ends = np.cumsum(drawn)
    count = int(np.searchsorted(ends, wanted)) + 1 if wanted else 0
    lengths = drawn[:count]
    if count:
        lengths[-1] -= ends[count - 1] - wanted
    return lengths


def thinned(tokens: Ids, masked: float, deleted: float, mask: int, generator: np.random.Generator) -> Ids:
    """Replace a share ``masked`` of the tokens by the mask token and delete a share ``deleted``."""
    draw = generator.random(len(tokens))
    draw[tokens == mask] = 1
    result = np.where(draw < masked, np.int32(mask), tokens)
    kept = result[(draw < masked) | (draw >= masked + deleted)]
    return kept if len(kept) else result[:1]
