"""Rows of ids of several lengths as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tp_core.interfaces import Inputs

Ids = NDArray[np.int32]


def joined(*parts: Any) -> Ids:
    """Ids of several parts, lists or arrays, one after another."""
    return np.concatenate(parts, dtype=np.int32, casting="unsafe")  # an empty list counts as floats


def lengths_of(rows: Sequence[Ids]) -> NDArray[np.int64]:
    """Lengths of rows, (rows,)."""
    return np.fromiter(map(len, rows), np.int64, len(rows))


def width_of(lengths: NDArray[np.int64], limit: int, whole: bool) -> int:
    """Width of a batch: the longest row, rounded up to a multiple of 8 up to ``limit``; or always ``limit``.

    Multiples of 8 suit vector units and keep the number of different shapes small. Rows of one length are not padded:
    attention without a mask is faster, and what a model makes of one text does not depend on its padding.

    Args:
        lengths: of the rows, (rows,).
    """
    longest = int(lengths.max())
    if whole:
        return max(longest, limit)
    return longest if int(lengths.min()) == longest else max(longest, min(-(-longest // 8) * 8, limit))


def padded(rows: Sequence[Ids], width: int | None, fill: int) -> torch.Tensor:
    """Rows with padding on the right: (rows, width), int64.

    Args:
        width: of the result; None for the longest row's length, or 1 if all are empty.
    """
    if width is None:
        width = max(1, *map(len, rows))
    values = np.full((len(rows), width), fill, dtype=np.int64)
    for line, row in zip(values, rows):
        line[: len(row)] = row
    return torch.from_numpy(values)


def token_inputs(rows: Sequence[Ids], limit: int, pad: int, whole: bool = False, causal: bool = False) -> Inputs:
    """``input_ids`` (rows, width) and, where anything is padded, what :func:`real_places` gives."""
    lengths = lengths_of(rows)
    width = width_of(lengths, limit, whole)
    return {"input_ids": padded(rows, width, pad), **real_places(lengths, width, causal)}


def real_places(lengths: NDArray[np.int64], width: int, causal: bool = False) -> Inputs:
    """``attention_mask`` (rows, width) of rows that are padded on the right; nothing where none is.

    Args:
        causal: the model is causal: ``lengths`` (rows,) in place of the mask, which its attention does without.
    """
    if int(lengths.min()) == width:
        return {}
    ends = torch.from_numpy(lengths)
    return {"lengths": ends} if causal else {"attention_mask": (torch.arange(width) < ends[:, None]).long()}
