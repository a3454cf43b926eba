"""Rows of whole sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tp_text.processors.reading import TokenizedTexts


class SentenceRows:
    """Fills each row with sentences of one document while they fit. A text is a sentence, a blank one ends a document.

    Args:
        longest: what longer sentences are cut to, so that nothing of them is lost.
        target: number of a row → the length to fill it to; a longer sentence has a row of its own.

    Attributes:
        rows: the rows that are done: ``tokens``, the ``lengths`` of the sentences in them, and the ``document``.
        documents: number of documents that have ended.
        place: file and line of the last text of the last of them.
    """

    def __init__(self, longest: int, target: Callable[[int], int]) -> None:
        self.rows = _no_rows()
        self.documents = 0
        self.place = ("", 0)
        self._longest, self._target = longest, target
        self._seen = self.place  # of the last text
        self._number = 0
        # The row in the making: its length, those of its sentences, and its tokens from texts given earlier.
        self._room, self._size = target(0), 0
        self._lengths: list[int] = []
        self._earlier: list[NDArray[np.int32]] = []

    def add(self, texts: TokenizedTexts) -> None:
        """Go on with these texts; another file is another document."""
        if texts.file != self._seen[0]:
            self.end_document()
        ids = texts.ids
        row = begin = 0
        for index, (text, end) in enumerate(zip(texts.texts, texts.ends)):
            if self._lengths and not text.strip():
                self._earlier.append(ids[row:begin])
                if index:
                    self._seen = texts.file, texts.lines[index - 1]
                self.end_document()
                row = begin
            while begin < end:
                length = end - begin if end - begin <= self._longest else self._longest
                if self._lengths and self._size + length > self._room:
                    self._earlier.append(ids[row:begin])
                    self._end_row()
                    row = begin
                self._lengths.append(length)
                self._size += length
                begin += length
        self._earlier.append(ids[row:])
        self._seen = texts.file, texts.lines[-1]

    def end_document(self) -> None:
        if self._lengths:
            self._end_row()
            self.documents += 1
            self.place = self._seen

    def take(self) -> dict[str, list[Any]]:
        """The rows that are done, once."""
        rows, self.rows = self.rows, _no_rows()
        return rows

    def _end_row(self) -> None:
        tokens = self._earlier
        self.rows["tokens"].append(tokens[0] if len(tokens) == 1 else np.concatenate(tokens))
        self.rows["lengths"].append(self._lengths)
        self.rows["document"].append(self.documents)
        self._number += 1
        self._room, self._size = self._target(self._number), 0
        self._lengths, self._earlier = [], []


def _no_rows() -> dict[str, list[Any]]:
    return {"tokens": [], "lengths": [], "document": []}
