"""The largest score of each row and its place, in one pass."""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: Rows that are shorter gain nothing from being cut.
_SHORT = 2048


def row_maxima(scores: Tensor) -> tuple[Tensor, Tensor]:
    """``scores.max(dim=1, keepdim=True)``: of several equal maxima, the first one's place, as ``argmax`` has it.

    That function takes several times as long on a CPU as the maximum alone. So rows are cut into about as many blocks
    as a block is long, and the place is looked for among the maxima of the blocks and in one block.

    Args:
        scores: (rows, classes), without NaN.

    Returns:
        Maxima and places, each (rows, 1).
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
    # What stands behind the last class is the last class again, of which the first is found.
    places = (block * size + torch.arange(size, device=scores.device)).clamp(max=classes - 1)
    return highest, places.gather(1, scores.gather(1, places).argmax(dim=1, keepdim=True))
