"""Random choice of pictures that do not belong to a text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Mismatches:
    """Draws a record with a picture that does not occur together with a given text in any record.

    All such records are equally likely. Therefore a picture is as frequent in mismatched pairs as in true pairs. A draw
    uses one random number and logarithmic time.
    """

    def __init__(self, texts: NDArray[np.int64], pictures: NDArray[np.int64]) -> None:
        """``texts`` and ``pictures`` are the identities of the text and picture of each record, (records,)."""
        size = np.int32 if len(pictures) < 2**31 else np.int64
        _, picture = np.unique(pictures, return_inverse=True)
        counts = np.bincount(picture)
        # Records sorted by picture: the records that a text must not get are a few runs in this order.
        self._records = np.argsort(picture, kind="stable").astype(size)
        starts = np.cumsum(counts) - counts
        _, text = np.unique(texts, return_inverse=True)
        self._text = text.astype(size)
        # The own pictures of all texts, text by text.
        owner, own = np.divmod(np.unique(text.astype(np.int64) * len(counts) + picture), len(counts))
        self._first = np.searchsorted(owner, np.arange(owner[-1] + 2)).astype(size)
        before = np.concatenate([[0], np.cumsum(counts[own])])
        taken = before - np.append(before[self._first[owner]], 0)
        #: For each run of a text: number of allowed records before it, and number of excluded records up to its end.
        self._free = (starts[own] - taken[:-1]).astype(size)
        self._taken = (taken[:-1] + counts[own]).astype(size)

    def draw(self, record: int, generator: np.random.Generator) -> int | None:
        """Draw a record whose picture does not belong to the text of ``record``; None if all pictures belong to it."""
        begin, end = self._first[self._text[record]], self._first[self._text[record] + 1]
        rest = len(self._records) - int(self._taken[end - 1])
        if not rest:
            return None
        number = int(generator.integers(rest))
        runs = int(np.searchsorted(self._free[begin:end], number, side="right"))
        return int(self._records[number + (int(self._taken[begin + runs - 1]) if runs else 0)])
