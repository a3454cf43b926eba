"""word2vec's training samples: words with the words in their windows, and random words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tp_core.data.padding import Ids, token_inputs
from tp_core.interfaces import IGNORE, Batch, Inputs, Record, Report, Rows, Sample, Tokenizer
from tp_core.options.context import DataContext
from tp_text.processors.reading import text_of
from tp_text.processors.records import in_columns
from tp_text.processors.skipgram_options import SkipGramProcessorConfig
from tp_text.processors.text import TextProcessor

#: Number of rows that are counted at a time.
_COUNT = 1024


@dataclass(frozen=True)
class _Counts:
    """Probabilities computed from word frequencies.

    Attributes:
        keep: for each id, the probability that an occurrence is kept.
        cumulative: cumulative distribution of count^0.75 over all ids, followed by all bigram buckets.
    """

    keep: NDArray[np.float64]
    cumulative: NDArray[np.float64]


class SkipGramProcessor(TextProcessor):
    """Packs lines of running text into rows; windows do not cross line ends (Mikolov et al., 2013).

    Unknown words are left out. Three things are drawn anew each time a row is read: the frequent words that are dropped
    before windows are formed, the size of each word's window, from 1 to ``window``, and the random words.

    Labels ``sgns``: ``context`` (batch, length, 2 × window) holds ids, and ``IGNORE`` where there is no context. With
    bigrams, it has 2 × (window - 1) more columns, the ids of their buckets (Zhao et al., 2017). ``negatives`` (batch,
    length, negatives) holds ids of random words.
    """

    def __init__(self, config: SkipGramProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        self.options = config
        self.vocab_size = tokenizer.vocab_size
        self.unknown = tokenizer.special.get("unk")
        self._counted: dict[int, tuple[Rows, _Counts]] = {}

    # -- rows --------------------------------------------------------------------------------------------------

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        return in_columns(self._rows(records, report))

    def _rows(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, Any]]:
        pieces: list[Ids] = []
        room = self.max_length
        for texts in self.tokenized(records, report):
            for line in texts.documents():
                ids = line if self.unknown is None else line[line != self.unknown]
                while len(ids):
                    pieces.append(ids[:room])
                    ids, room = ids[room:], room - len(pieces[-1])
                    if not room:
                        yield _row(pieces)
                        pieces, room = [], self.max_length
        if pieces:
            yield _row(pieces)

    # -- samples -----------------------------------------------------------------------------------------------

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        counts = self._counts(rows)
        tokens, lengths = rows.get("tokens", index), rows.get("lengths", index)
        kept = np.flatnonzero(generator.random(len(tokens)) < counts.keep[tokens])
        lines = np.repeat(np.arange(len(lengths)), lengths)[kept]
        found = self._contexts(tokens[kept], lines, generator)
        context = np.full((len(tokens), found.shape[1]), IGNORE, dtype=np.int32)
        context[kept] = found
        draws = generator.random((len(tokens), self.options.negatives))
        negatives = np.searchsorted(counts.cumulative, draws, side="right").astype(np.int32)
        return {"input_ids": tokens, "context": context, "negatives": negatives}

    def _contexts(self, tokens: Ids, lines: NDArray[Any], generator: np.random.Generator) -> Ids:
        """Ids around each token, (length, contexts); ``IGNORE`` outside its window, its line or the row."""
        window = self.options.window
        reach = generator.integers(1, window + 1, size=len(tokens))[:, None]
        steps = np.concatenate([np.arange(-window, 0), np.arange(1, window + 1)])
        inside = self._inside(lines, reach, steps)
        places = np.arange(len(tokens))[:, None] + steps
        words = np.where(inside, np.take(tokens, places, mode="clip") if len(tokens) else 0, IGNORE)
        if self.options.ngrams == 1:
            return words
        # A bigram is a context if both of its words are. So both lie on the same side of the word.
        first = np.flatnonzero(np.diff(steps) == 1)
        pairs = inside[:, first] & inside[:, first + 1]
        left = np.where(pairs, words[:, first], 0)
        right = np.where(pairs, words[:, first + 1], 0)
        return np.concatenate([words, np.where(pairs, self._bucket(left, right), IGNORE)], axis=1, dtype=np.int32)

    @staticmethod
    def _inside(lines: NDArray[Any], reach: NDArray[Any], steps: NDArray[Any]) -> NDArray[np.bool_]:
        places = np.arange(len(lines))[:, None] + steps
        inside: NDArray[np.bool_] = (np.abs(steps) <= reach) & (places >= 0) & (places < len(lines))
        if len(lines):
            inside &= np.take(lines, places, mode="clip") == lines[:, None]
        return inside

    def _bucket(self, first: NDArray[Any], second: NDArray[Any]) -> Ids:
        """Ids of bigrams, numbered after the vocabulary. The hash is the same in every process."""
        mixed = first.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) ^ second.astype(np.uint64)
        mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(29)
        ids: Ids = (mixed % np.uint64(self.options.ngram_buckets)).astype(np.int32) + np.int32(self.vocab_size)
        return ids

    def _counts(self, rows: Rows) -> _Counts:
        """The word frequencies in these rows; each process counts them at its first sample."""
        if id(rows) not in self._counted:
            self._counted[id(rows)] = rows, self._count(rows)
        return self._counted[id(rows)][1]

    def _count(self, rows: Rows) -> _Counts:
        words = self.vocab_size
        bigrams = self.options.ngram_buckets if self.options.ngrams > 1 else 0
        counts = np.zeros(words + bigrams, dtype=np.int64)
        for start in range(0, len(rows), _COUNT):
            some = range(start, min(start + _COUNT, len(rows)))
            each = [rows.get("tokens", index) for index in some]
            counts += np.bincount(np.concatenate(each), minlength=len(counts))
            if bigrams:
                pairs = [self._bucket(tokens[:-1], tokens[1:]) for tokens in each]
                counts += np.bincount(np.concatenate(pairs), minlength=len(counts))
        powered = np.cumsum(counts**0.75)
        share = counts[:words] / max(1, counts[:words].sum())
        keep = np.ones(words)
        if self.options.subsample:
            keep = np.minimum(1, np.sqrt(self.options.subsample / np.maximum(share, 1e-300)))
        return _Counts(keep, powered / powered[-1])

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_counted": {}}  # keys are object ids, which are valid in one process only

    # -- batches -----------------------------------------------------------------------------------------------

    def collate(self, samples: list[Sample]) -> Batch:
        source = token_inputs([s["input_ids"] for s in samples], self.max_length, self.pad, self.pad_to == "max_length")
        width = source["input_ids"].shape[1]
        labels: Inputs = {}
        for name in ("context", "negatives"):
            if name in samples[0]:
                values = np.full((len(samples), width, samples[0][name].shape[1]), IGNORE, dtype=np.int64)
                for row, sample in zip(values, samples):
                    row[: len(sample[name])] = sample[name]
                labels[name] = torch.from_numpy(values)
        return Batch.of(source, len(samples), labels={"sgns": labels} if labels else {})

    def encode(self, records: list[Record]) -> list[Sample]:
        texts = self.tokenizer.encode_batch([text_of(r) for r in records])
        # The model needs at least one token, even if the text is empty.
        empty = [self.pad if self.unknown is None else self.unknown]
        return [{"input_ids": np.array(ids[: self.max_length] or empty, dtype=np.int32)} for ids in texts]


def _row(pieces: list[Ids]) -> dict[str, Any]:
    return {"tokens": np.concatenate(pieces), "lengths": np.array([len(p) for p in pieces], dtype=np.int32)}
