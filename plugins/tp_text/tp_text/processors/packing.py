"""Packing of documents into rows of equal length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

_WRITE = 1000


def packed_rows(
    documents: Iterable[NDArray[np.int32]], length: int, separator: int | None, across: bool = True
) -> Iterator[list[NDArray[np.int32]]]:
    """Cut documents into rows of ``length`` tokens; yields chunks of rows.

    Args:
        separator: id that is put between documents, or None.
        across: True if a row may span several documents; then only the last row may be shorter. If False, the last row
            of each document may be shorter.
    """
    between = np.array([] if separator is None else [separator], dtype=np.int32)
    rows: list[NDArray[np.int32]] = []
    pieces: list[NDArray[np.int32]] = []
    size = 0
    for ids in documents:
        if size and separator is not None:
            pieces.append(between)
            size += 1
        pieces.append(ids)
        size += len(ids)
        if size >= length or not across:
            whole = np.concatenate(pieces)
            full = size if not across else size // length * length
            rows.extend(whole[i : min(i + length, full)] for i in range(0, full, length))
            pieces, size = [whole[full:]], size - full
        if len(rows) >= _WRITE:
            yield rows
            rows = []
    if size:
        rows.append(np.concatenate(pieces))
    if rows:
        yield rows
