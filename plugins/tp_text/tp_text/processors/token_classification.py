"""Texts whose words have tags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tp_core.data.fields import is_blank
from tp_core.data.padding import padded
from tp_core.data.predictions import OwnPredictions
from tp_core.errors import DataError
from tp_core.interfaces import IGNORE, Inputs, Record, Report, Rows, Sample, Tokenizer
from tp_core.interfaces.framing import BARE
from tp_core.options.context import DataContext
from tp_core.suggest import did_you_mean
from tp_text.processors.reading import CHUNK
from tp_text.processors.text import TextProcessor
from tp_text.processors.token_classification_options import TokenClassificationProcessorConfig
from tp_text.tagging.metrics import SPAN_METRICS, span_counts
from tp_text.tagging.schemes import Span, break_in, following, spans, strict_spans, tags_of_spans, types_of
from tp_text.tagging.windows import windows
from tp_text.tagging.words import TaggedText, pieces_of, read, spans_of_words, words_of

#: Entries of the first sample of a record that its prediction is made of.
_OF_RECORD = ("text", "starts", "ends", "tags", "listed")


@dataclass
class _Document:
    """A record as pieces, before it is divided into windows.

    Attributes:
        ids: ids of the pieces.
        word_of: number of the word of each piece.
        words: (start, end) of each word in characters of the text.
        tags: number of the tag of each word; None without labels.
        listed: True if the record lists its words.
    """

    text: str
    ids: list[int]
    word_of: list[int]
    words: list[tuple[int, int]]
    tags: list[int] | None
    listed: bool


class TokenClassificationProcessor(TextProcessor):
    """Reads words with tags, or a text with spans, and makes windows of at most ``max_length`` tokens.

    Labels ``token_cls``: ``positions`` and ``labels``, both (batch, places). Each word is labelled in one window, where
    it has context on both sides.
    """

    def __init__(self, config: TokenClassificationProcessorConfig, data: DataContext, tokenizer: Tokenizer) -> None:
        super().__init__(config, data, tokenizer)
        self.config = config
        self.tags, self.scheme = config.tag_names(), config.tag_scheme()
        self.types = types_of(self.tags) if self.scheme else []
        self._numbers = {tag: number for number, tag in enumerate(self.tags)}
        if not config.special_tokens:
            self._frames = (BARE[0], self._frames[1])
        self.head = len(self.frame().head)
        self.room = config.max_length - self.special_count(pair=False)
        self.context = self.room // 4 if config.context is None else min(config.context, (self.room - 1) // 2)
        self.own = OwnPredictions(data, "token_cls")
        self._broken: Counter[str] = Counter()
        self._widened = [0, 0]

    # -- reading -----------------------------------------------------------------------------------------------

    def _documents(self, records: Sequence[tuple[Record, TaggedText]], report: Report | None) -> Iterator[_Document]:
        """The records as pieces; without ``report``, tags are not read, and an error is raised."""
        encoded = self.tokenizer.encode_with_offsets([read.text for _, read in records])
        for (record, given), pieces in zip(records, encoded):
            words = words_of(pieces, given.text) if given.words is None else given.words
            try:
                tags = None if report is None else self._tags_of(record, given, words)
            except DataError as error:
                assert report is not None
                report(error)
                continue
            ids, word_of = list(pieces.ids), pieces_of(pieces, words)
            self._add_missing(ids, word_of, len(words))
            yield _Document(given.text, ids, word_of, words, tags, given.words is not None)

    def _add_missing(self, ids: list[int], word_of: list[int], words: int) -> None:
        """Add a piece for each word that the tokenizer leaves out, so that every word has a label."""
        there = set(word_of)
        for word in range(words):
            if word not in there:
                place = next((at for at, other in enumerate(word_of) if other > word), len(word_of))
                ids.insert(place, self.tokenizer.special.get("unk", self.pad))
                word_of.insert(place, word)

    def _tags_of(self, record: Record, given: TaggedText, words: list[tuple[int, int]]) -> list[int]:
        def problem(message: str) -> DataError:
            return DataError(message, file=record.file, line=record.line)

        if given.spans is not None:
            try:
                found, widened = spans_of_words(given.spans, words)
                self._widened = [self._widened[0] + widened, self._widened[1] + len(given.spans)]
                assert self.scheme is not None
                unknown = next((kind for _, _, kind in found if kind not in self.types), None)
                if unknown is not None:
                    near = did_you_mean(unknown, self.types) or f"the types are {', '.join(self.types)}"
                    raise ValueError(f"unknown type of span '{unknown}'; {near}")
                tags = tags_of_spans([Span(*each) for each in found], len(words), self.scheme)
                return [self._numbers[tag] for tag in tags]
            except ValueError as error:
                raise problem(str(error)) from None
        if given.tags is None:
            raise problem("no tags: expected 'tags' with 'tokens', 'spans' with a text, or 'label' with a text")
        numbers = []
        for word, tag in zip(words, given.tags):
            number = self._number(tag)
            if number is None:
                near = did_you_mean(str(tag), self.tags) or f"the tags are {', '.join(self.tags[:20])}"
                raise problem(f"unknown tag '{tag!s:.60}' of the word '{given.text[slice(*word)]:.40}'; {near}")
            numbers.append(number)
        if self.scheme is not None:
            named = [self.tags[number] for number in numbers]
            place = break_in(named, self.scheme)
            if place is not None:
                before = named[place - 1] if place else "the beginning"
                message = f"tag {place + 1}, '{named[place]}' after {before}, breaks the scheme {self.scheme}"
                if self.config.strict:
                    raise problem(message)
                self._broken[f"{record.file}:{record.line}: {message}"] += 1
        return numbers

    def _number(self, tag: Any) -> int | None:
        if isinstance(tag, (int, np.integer)) and not isinstance(tag, bool):
            return int(tag) if 0 <= int(tag) < len(self.tags) else None
        return self._numbers.get(str(tag))

    def remarks(self) -> list[str]:
        found = []
        if self._broken:
            first = next(iter(self._broken))
            found.append(
                f"{len(self._broken):,} records have tags that break the scheme {self.scheme}, the first is {first} "
                "(strict: true makes them bad records)"
            )
        if self._widened[0]:
            found.append(
                f"{self._widened[0]:,} of {self._widened[1]:,} spans begin or end inside a word; they are widened to "
                "whole words"
            )
        return found

    # -- rows --------------------------------------------------------------------------------------------------

    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        self._broken.clear()
        self._widened = [0, 0]
        number = 0
        texts = self._texts(records, report)
        while chunk := list(islice(texts, CHUNK)):
            columns: dict[str, list[Any]] = {}
            for document in self._documents(chunk, report):
                for row in self._rows(document):
                    for name, value in {**row, "record": number}.items():
                        columns.setdefault(name, []).append(value)
                number += 1
            if columns:
                yield columns

    def _texts(self, records: Iterable[Record], report: Report) -> Iterator[tuple[Record, TaggedText]]:
        for record in records:
            try:
                if is_blank(record):
                    continue
                found = read(record, self.config.split_spaces)
                if not found.text.strip():
                    raise DataError("the text is empty", file=record.file, line=record.line)
                if found.spans is not None and self.scheme is None:
                    raise DataError(
                        "'spans' need tags of a scheme: types, or labels such as B-PER",
                        file=record.file,
                        line=record.line,
                    )
            except DataError as error:
                report(error)
                continue
            yield record, found

    def _rows(self, document: _Document) -> Iterator[dict[str, Any]]:
        """The windows of a record; the first one has what predictions of the whole record need."""
        word_of = np.array(document.word_of, dtype=np.int64)
        first = np.append(True, word_of[1:] != word_of[:-1])[: len(word_of)]
        tags = np.full(len(document.words), 0) if document.tags is None else np.array(document.tags, dtype=np.int64)
        labels = tags[word_of] if len(word_of) else word_of
        if self.config.label_pieces == "all":
            continued = np.array(
                [self._numbers.get(self._following(tag), number) for number, tag in enumerate(self.tags)]
            )
            labels = np.where(first, labels, continued[labels]) if len(labels) else labels
        counted = first if self.config.label_pieces == "first" else np.ones(len(word_of), dtype=bool)
        whole: dict[str, Any] = {
            "text": document.text.encode(),
            "starts": np.array([start for start, _ in document.words], dtype=np.int32),
            "ends": np.array([end for _, end in document.words], dtype=np.int32),
            "tags": tags.astype(np.int32),
            "listed": document.listed,
        }
        nothing: dict[str, Any] = {
            "text": b"",
            "starts": np.empty(0, dtype=np.int32),
            "ends": np.empty(0, dtype=np.int32),
            "tags": np.empty(0, dtype=np.int32),
            "listed": document.listed,
        }
        for number, window in enumerate(windows(len(document.ids), self.room, self.context)):
            places = np.flatnonzero(counted[window.first : window.last]) + window.first
            yield {
                "ids": np.array(document.ids[window.start : window.end], dtype=np.int32),
                "positions": (places - window.start).astype(np.int32),
                "labels": labels[places].astype(np.int32),
                "first": first[places],
                **(nothing if number else whole),
            }

    def _following(self, tag: str) -> str:
        return following(tag, self.scheme) if self.scheme else tag

    def record_starts(self, rows: Rows) -> NDArray[np.int64]:
        numbers = rows.integers("record")
        return np.flatnonzero(np.append(True, numbers[1:] != numbers[:-1]))

    # -- samples and batches -----------------------------------------------------------------------------------

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        row = {name: rows.get(name, index) for name in ("ids", "positions", "labels")}
        return self._sample(row) | {"labels": row["labels"]}

    def evaluation_sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        sample = self.sample(rows, index, generator)
        return sample | {name: rows.get(name, index) for name in ("first", *_OF_RECORD)}

    def _sample(self, row: dict[str, Any]) -> Sample:
        return {**self.assemble(row["ids"]), "positions": row["positions"] + self.head}

    def search_sides(self) -> None:
        """None, because a sample is a window of a text."""

    def carried(self, sample: Sample) -> Sample:
        return {name: sample[name] for name in ("first", *_OF_RECORD)}

    def labels(self, samples: list[Sample]) -> dict[str, Inputs]:
        positions = padded([sample["positions"] for sample in samples], None, -1)
        if "labels" in samples[0]:
            labels = padded([sample["labels"] for sample in samples], None, IGNORE)
        else:
            labels = torch.full_like(positions, IGNORE)
        return {"token_cls": {"positions": positions, "labels": labels}}

    # -- inference ---------------------------------------------------------------------------------------------

    def divide(self, records: list[Record]) -> list[list[Sample]]:
        given = [(record, read(record, self.config.split_spaces, labelled=False)) for record in records]
        return [
            [{**row, **self._sample(row)} for row in map(_unlabelled, self._rows(document))]
            for document in self._documents(given, None)
        ]

    def encode(self, records: list[Record]) -> list[Sample]:
        """The first window of each text."""
        return [samples[0] for samples in self.divide(records)]

    def combine(self, samples: list[Sample], predictions: list[dict[str, Any]]) -> dict[str, Any]:
        """``tags`` of the words and, with tags of a scheme, ``spans`` with their limits in characters of the text.

        A record that does not list its words gets ``words``. In a record that lists them, a span also has its limits
        in words, and its text has the words joined by spaces. ``score`` of a span is the mean probability of its tags,
        if the target gives probabilities.
        """
        return self.own.combined(predictions, lambda own: self._combined(samples, own))

    def _combined(self, samples: list[Sample], predictions: list[dict[str, Any]]) -> dict[str, Any]:
        first = np.concatenate([sample["first"] for sample in samples])
        numbers = np.array([number for each in predictions for number in each["labels"]], dtype=np.int64)[first]
        scores = np.array([value for each in predictions for value in each.get("probabilities", ())])
        # The mean of each span is a difference of two sums.
        certain = np.append(0.0, np.cumsum(scores[first])).tolist() if len(scores) else None
        record = samples[0]
        text, listed = bytes(record["text"]).decode(), bool(record["listed"])
        places = list(zip(record["starts"].tolist(), record["ends"].tolist()))
        found: dict[str, Any] = {} if listed else {"words": [text[start:end] for start, end in places]}
        found["tags"] = [self.tags[number] for number in numbers]
        if self.scheme is not None:
            found["spans"] = [_written(span, text, places, listed, certain) for span in spans(found["tags"])]
        return found

    def score(self, predictions: list[dict[str, Any]], samples: list[list[Sample]]) -> dict[str, Any]:
        """Counts of spans by type, see :mod:`tp_text.tagging.metrics`."""
        if self.scheme is None:
            return {}
        found = [self.own.of(prediction)["tags"] for prediction in predictions]
        wanted = [[self.tags[number] for number in own[0]["tags"].tolist()] for own in samples]
        plain = span_counts([spans(tags) for tags in found], [spans(tags) for tags in wanted], self.types)
        scheme = self.scheme
        strict = span_counts(
            [strict_spans(tags, scheme) for tags in found],
            [strict_spans(tags, scheme) for tags in wanted],
            self.types,
        )
        return {name: (strict if name.startswith("strict") else plain,) for name in SPAN_METRICS}


def _unlabelled(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("labels", "tags")}


def _written(
    span: Span, text: str, words: list[tuple[int, int]], listed: bool, certain: list[float] | None
) -> dict[str, Any]:
    start, end = words[span.start][0], words[span.end - 1][1]
    found: dict[str, Any] = {"text": text[start:end], "label": span.type, "start": start, "end": end}
    if listed:
        found |= {"first_word": span.start, "last_word": span.end - 1}
    if certain is not None:
        found["score"] = (certain[span.end] - certain[span.start]) / (span.end - span.start)
    return found
