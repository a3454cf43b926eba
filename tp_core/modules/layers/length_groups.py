"""Groups of rows of similar length, so that layers on a CPU compute little or no padding."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from tp_core.interfaces import Sequence
from tp_core.interfaces.packing import Packing
from tp_core.modules.layers.equal_calls import needs_equal_calls

#: Indices of the rows of each group, and its length.
Groups = list[tuple[Tensor, int]]

#: Minimum number of rows of a batch that is divided, maximum number of groups, and of lengths that they may have.
_ROWS, _GROUPS, _LENGTHS = 8, 4, 32

#: Minimum share of padding. Packing of less costs as much as it saves.
_PADDING = 0.05

#: Lengths of groups are multiples of this number; in half precision, of the second. There, kernels are made for each
#: shape of a matrix at its first use, so that few different shapes are faster than a little less padding.
_STEP, _COARSE_STEP = 8, 16

#: In half precision, groups consist of whole parts of the batch, of which there are this number.
_PARTS = 4

#: In half precision, packed positions are multiples of this number.
_MULTIPLE = 128

#: The share of all positions that a further group must save, since more groups mean smaller matrices.
_SAVED = 0.01


def length_groups(sequence: Sequence) -> Groups | None:
    """Groups of rows, as indices of the rows and the length of the longest, rounded up.

    The lengths of the groups are those with the fewest positions.

    None if grouping is not worth it or not possible: if there are few rows or little padding, if padding is not on the
    right, if other modules publish values about the positions, or if the states are not on a CPU. There, reading
    lengths would make the host wait, and kernels prefer large batches.
    """
    states, mask = sequence.states, sequence.mask
    if mask is None or sequence.published or states.device.type != "cpu":
        return None
    if needs_equal_calls() or torch.compiler.is_compiling():
        return None
    rows, width = mask.shape
    if rows < _ROWS or not bool((mask[:, 1:] <= mask[:, :-1]).all()):
        return None
    lengths, order = mask.sum(dim=1).sort(stable=True)
    if int(lengths.sum()) > (1 - _PADDING) * rows * width:
        return None
    half = _half(states)
    rounded = _COARSE_STEP if half else _STEP
    step = rounded * math.ceil(width / (rounded * _LENGTHS))
    longest = [min(width, step * max(1, math.ceil(length / step))) for length in lengths.tolist()]
    ends = _best_ends(longest, math.ceil(rows / _PARTS) if half else 1)
    starts = [0, *ends]
    return [(order[start:end], longest[end - 1]) for start, end in zip(starts, ends)]


def _best_ends(lengths: list[int], unit: int) -> list[int]:
    """The ends of the groups with the fewest positions.

    Args:
        lengths: the rounded lengths of all rows, in ascending order.
        unit: all ends but the last are multiples of it.
    """
    rows = len(lengths)
    ends = [*range(unit, rows, unit), rows]
    # Rows of the same length stay together.
    ends = [end for end, after in itertools.pairwise(ends) if lengths[end - 1] < lengths[after - 1]] + [rows]
    fine = _SAVED * rows * lengths[-1]
    # For each end: the lowest cost of the rows up to it, and the ends of the groups that have this cost.
    best: dict[int, tuple[float, list[int]]] = {0: (0.0, [])}
    found = []
    for _ in range(_GROUPS):
        following = {}
        for end in ends:
            size = lengths[end - 1]
            costs = [(cost + (end - start) * size + fine, start) for start, (cost, _) in best.items() if start < end]
            if costs:
                cost, start = min(costs)
                following[end] = (cost, [*best[start][1], end])
        best = following
        found += [best[rows]] if rows in best else []
    return min(found)[1]


def packing_of(sequence: Sequence, groups: Groups) -> Packing:
    """The packing of a sequence that has these groups as its parts."""
    multiple = _MULTIPLE if _half(sequence.states) else 1
    return Packing([_cut(sequence.select(index), length) for index, length in groups], multiple)


def put_together(states: list[Tensor], groups: Groups, width: int | None) -> Tensor:
    """States of the groups, in the order of the rows of the batch.

    Args:
        states: (rows, length, size) of each group.
        groups: the groups.
        width: the length of the result; None if all states have the same length.

    Returns:
        (batch, width, size), with zeros behind the longest row of each group.
    """
    if width is not None:
        states = [F.pad(part, (0, 0, 0, width - part.shape[1])) for part in states]
    order = torch.cat([index for index, _ in groups])
    places = torch.empty_like(order)
    places[order] = torch.arange(len(order))
    return torch.cat(states).index_select(0, places)


def _half(states: Tensor) -> bool:
    return states.element_size() < 4 or torch.is_autocast_enabled("cpu")


def _cut(sequence: Sequence, length: int) -> Sequence:
    """The sequence without the positions behind ``length``."""
    mask = None if sequence.mask is None else sequence.mask[:, :length]
    if mask is not None and bool(mask.all()):
        mask = None  # attention without a mask is faster
    by_position = (sequence.document_ids, sequence.positions, sequence.mean_weights)
    documents, positions, weights = (None if v is None else v[:, :length] for v in by_position)
    read = sequence.read_positions
    return replace(
        sequence,
        states=sequence.states[:, :length],
        mask=mask,
        document_ids=documents,
        positions=positions,
        mean_weights=weights,
        read_positions=None if read is None else read.clamp(max=length - 1),  # a target may read padding
    )
