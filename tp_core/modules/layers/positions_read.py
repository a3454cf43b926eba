"""Computing of some positions of a sequence only, those that later modules read."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from tp_core.interfaces import Sequence
from tp_core.modules.layers.equal_calls import needs_equal_calls


def whole(sequence: Sequence) -> Sequence:
    """The sequence without ``read_positions``, so that all positions are computed."""
    return sequence if sequence.read_positions is None else replace(sequence, read_positions=None)


def worth_reading(sequence: Sequence) -> Sequence:
    """The sequence, without ``read_positions`` if these are so many that computing all positions is as fast."""
    positions = sequence.read_positions
    few = positions is not None and not needs_equal_calls() and 2 * positions.shape[1] <= sequence.states.shape[1]
    return sequence if few else whole(sequence)


def states_at(states: Tensor, positions: Tensor) -> Tensor:
    """The states at positions (batch, number): (batch, length, size) → (batch, number, size)."""
    return states.gather(1, positions.unsqueeze(-1).expand(-1, -1, states.shape[-1]))


def mask_at(mask: Tensor | None, causal: bool, positions: Tensor, keys: int) -> Tensor | None:
    """An attention mask for the queries at positions (batch, number).

    Args:
        mask: None, or bool or float, (batch or 1, heads or 1, queries or 1, keys).
        causal: True for the causal mask, with ``mask`` None.
        keys: number of keys.

    Returns:
        None, or (batch or 1, heads or 1, number or 1, keys).
    """
    if causal:
        return (torch.arange(keys, device=positions.device) <= positions.unsqueeze(-1)).unsqueeze(1)
    if mask is None or mask.shape[2] == 1:
        return mask
    rows = mask.expand(positions.shape[0], -1, -1, -1)
    return rows.gather(2, positions[:, None, :, None].expand(-1, rows.shape[1], -1, rows.shape[3]))


def states_among(states: Tensor, positions: Tensor, length: int) -> Tensor:
    """The reverse of :func:`states_at`, with zeros at other positions: (batch, number, size) → (batch, length, size).

    Of repeated positions, the first counts; the others have no gradient.
    """
    batch, number, size = states.shape
    if number > 1:
        # Repetitions go to an additional position, which is cut off; then no position is written twice.
        same = positions.unsqueeze(2) == positions.unsqueeze(1)
        positions = positions.masked_fill(same.tril(-1).any(dim=2), length)
    whole = states.new_zeros(batch, length + (number > 1), size)
    return whole.scatter(1, positions.unsqueeze(-1).expand(-1, -1, size), states)[:, :length]
