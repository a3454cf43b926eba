"""Rows of whole sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tp_text.processors.reading import TokenizedTexts


class SentenceRows:
    """Fills each row with consecutive sentences of one document, as long as they fit.

    Each text is one sentence. A blank text ends a document.

    Args:
        longest: maximum length of a sentence. A longer one is split into pieces of this length; no token is lost.
        target: function from the row number to the length to fill the row to. A longer sentence gets its own row.

    Attributes:
        rows: finished rows: ``tokens``, the ``lengths`` of their sentences, and the number of their ``document``.
        documents: number of finished documents.
        place: file and line of the last text of the last finished document.
    """

    def __init__(self, longest: int, target: Callable[[int], int]) -> None:
        self.rows = _no_rows()
        self.documents = 0
        self.place = ("", 0)
        self._longest, self._target = longest, target
        self._seen = self.place  # place of the last text
        self._number = 0
        # State of the unfinished row: target length, current length, sentence lengths, tokens from earlier calls.
        self._room, self._size = target(0), 0
        self._lengths: list[int] = []
        self._earlier: list[NDArray[np.int32]] = []

    def add(self, texts: TokenizedTexts) -> None:
        """Add texts to the current document; a new file begins a new document."""
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
        """Return the finished rows and forget them."""
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
