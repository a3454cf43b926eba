"""Documents cut into rows of one length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WRITE = 1000


def packed_rows(
    documents: Iterable[list[int]], length: int, separator: int | None, across: bool = True
) -> Iterator[list[NDArray[np.int32]]]:
    """Cut documents into rows of ``length``, in chunks of rows.

    Args:
        separator: id that is put between documents, or None.
        across: whether a row may hold the end of one document and the start of the next. The last row is shorter.
    """
    rows: list[NDArray[np.int32]] = []
    buffer: list[int] = []

    def cut(last: bool) -> None:
        full = len(buffer) // length * length
        whole: NDArray[Any] = np.asarray(buffer[:full], dtype=np.int32).reshape(-1, length)
        rows.extend(whole)
        del buffer[:full]
        if last and buffer:
            rows.append(np.asarray(buffer, dtype=np.int32))
            buffer.clear()

    for ids in documents:
        if buffer and separator is not None:
            buffer.append(separator)
        buffer += ids
        cut(last=not across)
        if len(rows) >= _WRITE:
            yield rows
            rows = []
    cut(last=True)
    if rows:
        yield rows
