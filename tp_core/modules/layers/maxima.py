"""The maximum of each row and its index, computed in one pass."""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: Minimum length of rows for which blocks are faster.
_SHORT = 2048


def row_maxima(scores: Tensor) -> tuple[Tensor, Tensor]:
    """``scores.max(dim=1, keepdim=True)``, with the index of the first of equal maxima, as in ``argmax``.

    On a CPU, that function is several times slower than the maximum alone. Rows are therefore split into blocks, and
    the index is only searched among the maxima of the blocks and in one block.

    Args:
        scores: (rows, classes), without NaN.

    Returns:
        Maxima and indices, each (rows, 1).
    """
    rows, classes = scores.shape
    if classes < _SHORT or scores.device.type != "cpu":
        highest, place = scores.max(dim=1, keepdim=True)
        return highest, place
    size = 2 ** round(math.log2(classes) / 2)
    whole = classes - classes % size
    blocks = scores[:, :whole].view(rows, -1, size).amax(dim=-1)
    if whole < classes:
        blocks = torch.cat([blocks, scores[:, whole:].amax(dim=1, keepdim=True)], dim=1)
    highest, block = blocks.max(dim=1, keepdim=True)
    # Indices past the last class are clamped to it; argmax then still returns its first occurrence.
    places = (block * size + torch.arange(size, device=scores.device)).clamp(max=classes - 1)
    return highest, places.gather(1, scores.gather(1, places).argmax(dim=1, keepdim=True))
