"""Pictures that do not belong to a text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Mismatches:
    """Draws records whose picture no record joins with a text; each of them is as likely as the others.

    So every picture is as frequent beside texts of others as it is beside its own. A draw takes one random number,
    and time that hardly depends on how many records there are.
    """

    def __init__(self, texts: NDArray[np.int64], pictures: NDArray[np.int64]) -> None:
        """``texts`` and ``pictures`` are the identities of each record's, (records,)."""
        size = np.int32 if len(pictures) < 2**31 else np.int64
        _, picture = np.unique(pictures, return_inverse=True)
        counts = np.bincount(picture)
        # Records by picture: what a text must not get are a few runs of this order.
        self._records = np.argsort(picture, kind="stable").astype(size)
        starts = np.cumsum(counts) - counts
        _, text = np.unique(texts, return_inverse=True)
        self._text = text.astype(size)
        # Each text's own pictures, one behind the other.
        owner, own = np.divmod(np.unique(text.astype(np.int64) * len(counts) + picture), len(counts))
        self._first = np.searchsorted(owner, np.arange(owner[-1] + 2)).astype(size)
        before = np.concatenate([[0], np.cumsum(counts[own])])
        taken = before - np.append(before[self._first[owner]], 0)
        #: Records that a text may get before each run, and records in the text's runs up to and with it.
        self._free = (starts[own] - taken[:-1]).astype(size)
        self._taken = (taken[:-1] + counts[own]).astype(size)

    def draw(self, record: int, generator: np.random.Generator) -> int | None:
        """A record with a picture for the text of ``record`` that is none of the text's; None if all are its own."""
        begin, end = self._first[self._text[record]], self._first[self._text[record] + 1]
        rest = len(self._records) - int(self._taken[end - 1])
        if not rest:
            return None
        number = int(generator.integers(rest))
        runs = int(np.searchsorted(self._free[begin:end], number, side="right"))
        return int(self._records[number + (int(self._taken[begin + runs - 1]) if runs else 0)])
