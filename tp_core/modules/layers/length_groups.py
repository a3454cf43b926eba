"""Groups of rows of similar length, so that layers on a CPU compute little padding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from tp_core.interfaces import Sequence

#: Minimum number of rows in a group, maximum number of groups, and the share of positions that groups must save.
_ROWS, _GROUPS, _SAVED = 4, 4, 0.1


def length_groups(sequence: Sequence) -> list[tuple[Tensor, int]] | None:
    """Groups of rows, as indices of the rows and the length of the longest, rounded up to a multiple of 8.

    None if grouping is not worth it or not possible: if there is little padding, if padding is not on the right, if
    other modules publish values about the positions, or if the states are not on a CPU. There, reading lengths would
    make the host wait, and kernels prefer large batches.
    """
    states, mask = sequence.states, sequence.mask
    if mask is None or sequence.published or states.device.type != "cpu" or torch.compiler.is_compiling():
        return None
    rows, width = mask.shape
    count = min(_GROUPS, rows // _ROWS)
    if count < 2 or not bool((mask[:, 1:] <= mask[:, :-1]).all()):
        return None
    lengths, order = mask.sum(dim=1).sort(stable=True)
    groups = []
    for part, index in zip(lengths.tensor_split(count), order.tensor_split(count)):
        groups.append((index, min(width, max(8, -(-int(part[-1]) // 8) * 8))))
    if sum(len(index) * length for index, length in groups) > (1 - _SAVED) * rows * width:
        return None
    return groups


def in_groups(sequence: Sequence, groups: list[tuple[Tensor, int]], run: Callable[[Sequence], Tensor]) -> Tensor:
    """Run layers on each group of rows, and put the states together.

    Args:
        run: states of a sequence → (batch, length, size). A row's states must not depend on other rows or on padding.

    Returns:
        (batch, length, size), with zeros behind the longest row of each group.
    """
    width = sequence.states.shape[1]
    found = [F.pad(run(_cut(sequence.select(index), length)), (0, 0, 0, width - length)) for index, length in groups]
    order = torch.cat([index for index, _ in groups])
    places = torch.empty_like(order)
    places[order] = torch.arange(len(order))
    return torch.cat(found).index_select(0, places)


def _cut(sequence: Sequence, length: int) -> Sequence:
    """The sequence without the positions behind ``length``."""
    mask = None if sequence.mask is None else sequence.mask[:, :length]
    if mask is not None and bool(mask.all()):
        mask = None  # attention without a mask is faster
    documents, positions = (None if v is None else v[:, :length] for v in (sequence.document_ids, sequence.positions))
    return replace(sequence, states=sequence.states[:, :length], mask=mask, document_ids=documents, positions=positions)
