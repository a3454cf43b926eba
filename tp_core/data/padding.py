"""Conversion of rows of ids with different lengths into tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tp_core.interfaces import Inputs

Ids = NDArray[np.int32]


def joined(*parts: Any) -> Ids:
    """Concatenate ids given as lists or arrays."""
    return np.concatenate(parts, dtype=np.int32, casting="unsafe")  # NumPy converts an empty list to a float array


def lengths_of(rows: Sequence[Ids]) -> NDArray[np.int64]:
    """Lengths of the rows: (rows,)."""
    return np.fromiter(map(len, rows), np.int64, len(rows))


def width_of(lengths: NDArray[np.int64], limit: int, whole: bool) -> int:
    """Width of a batch: the length of the longest row, rounded up to a multiple of 8 but not above ``limit``.

    Multiples of 8 suit vector units and keep the number of different shapes small. Rows of equal length are not padded:
    attention without a mask is faster, and the output for a single text does not depend on padding.

    Args:
        lengths: lengths of the rows, (rows,).
        whole: pad to ``limit`` even if all rows are shorter.
    """
    longest = int(lengths.max())
    if whole:
        return max(longest, limit)
    return longest if int(lengths.min()) == longest else max(longest, min(-(-longest // 8) * 8, limit))


def padded(rows: Sequence[Ids], width: int | None, fill: int) -> torch.Tensor:
    """Rows with padding on the right: (rows, width), int64.

    Args:
        width: width of the result; default: the longest row's length, or 1 if all rows are empty.
    """
    if width is None:
        width = max(1, *map(len, rows))
    values = np.full((len(rows), width), fill, dtype=np.int64)
    for line, row in zip(values, rows):
        line[: len(row)] = row
    return torch.from_numpy(values)


def token_inputs(rows: Sequence[Ids], limit: int, pad: int, whole: bool = False, causal: bool = False) -> Inputs:
    """``input_ids`` (rows, width) and, if any row is padded, the result of :func:`real_places`."""
    lengths = lengths_of(rows)
    width = width_of(lengths, limit, whole)
    return {"input_ids": padded(rows, width, pad), **real_places(lengths, width, causal)}


def real_places(lengths: NDArray[np.int64], width: int, causal: bool = False) -> Inputs:
    """``attention_mask`` (rows, width) of rows padded on the right; empty if no row is padded.

    Args:
        causal: True for a causal model. It gets ``lengths`` (rows,) instead, because causal attention needs no mask.
    """
    if int(lengths.min()) == width:
        return {}
    ends = torch.from_numpy(lengths)
    return {"lengths": ends} if causal else {"attention_mask": (torch.arange(width) < ends[:, None]).long()}
