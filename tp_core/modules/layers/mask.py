"""Attention masks that layers share: the keys that each query may see."""

from __future__ import annotations

import torch
from torch import Tensor

from tp_core.interfaces import KVCache, Sequence


def visible_memory(memory: Sequence) -> Tensor | None:
    """The attention mask of an encoder's states.

    Returns:
        Bool (batch, 1, 1, memory length), True for states that may be seen; None if all may be seen. A sample without
        real states sees all its padding, so that no row of the softmax is empty.
    """
    if memory.mask is None:
        return None
    allowed = memory.mask[:, None, None, :]
    return allowed | ~allowed.any(dim=-1, keepdim=True)


def visible(sequence: Sequence, kind: str, kv_cache: KVCache | None, window: int | None = None) -> Tensor | None:
    """The mask of self-attention.

    Every query sees itself, even at padding, so that no row of the softmax is empty.

    Args:
        sequence: the sequence of the queries.
        kind: ``fully_visible``, ``causal`` or ``causal_with_prefix``.
        kv_cache: the cache with earlier positions, or None.
        window: a query only sees keys at a distance of less than ``window`` positions, in each direction that it sees.
            Distances are differences of position numbers, not of indices, because padding may be inside a sequence
            (between words and an image).

    Returns:
        Bool (batch or 1, 1, queries, keys), True where a query sees a key; None if every query sees every key.
    """
    mask, start = (sequence.mask, 0) if kv_cache is None else (kv_cache.mask, kv_cache.start)
    new = sequence.states.shape[1]
    device = sequence.states.device
    narrow = window is not None and (start + new > window or (kv_cache is None and sequence.positions is not None))
    if new == 1 and mask is None and sequence.document_ids is None and not narrow:
        return None  # the last position sees all earlier positions
    allowed = None if mask is None else mask[:, None, None, :]
    if window is not None and narrow:
        positions = sequence.places()
        keys = positions if kv_cache is None or kv_cache.positions is None else kv_cache.positions
        near = ((positions.unsqueeze(-1) - keys.unsqueeze(-2)).abs() < window).unsqueeze(1)
        allowed = near if allowed is None else allowed & near
    if kind != "fully_visible":
        index = torch.arange(start + new, device=device)
        seen = (index[None, :] <= index[start:, None])[None, None]
        if kind == "causal_with_prefix" and sequence.prefix_lengths is not None:
            seen = seen | (index < sequence.prefix_lengths[:, None])[:, None, None, :]
        allowed = seen if allowed is None else allowed & seen
    if sequence.document_ids is not None:
        ids = sequence.document_ids
        same = (ids[:, None, :] == ids[:, :, None])[:, None]
        allowed = same if allowed is None else allowed & same
    if allowed is None:
        return None
    if allowed.shape[2] > 1 or kind != "fully_visible":
        own = torch.arange(start, start + new, device=device)[:, None] == torch.arange(start + new, device=device)
        return allowed | own
    # A sample without real positions sees all its padding, so that no row of the softmax is empty.
    return allowed | ~allowed.any(dim=-1, keepdim=True)


def combine(allowed: Tensor | None, bias: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """Combine a mask and a bias into one mask: the mask if there is no bias, else the bias with hidden keys masked.

    Args:
        allowed: bool, True where a key may be seen; or float, a bias in which hidden keys are already masked.
        bias: float, added to the scores; or None.
        dtype: dtype of the result with a bias.

    Returns:
        The mask. In a float mask, hidden keys have the lowest value of ``dtype``.
    """
    if bias is None:
        return allowed
    bias, lowest = bias.to(dtype), torch.finfo(dtype).min
    if allowed is None:
        return bias
    if allowed.dtype != torch.bool:
        return (allowed + bias).clamp(min=lowest)
    return bias.masked_fill(~allowed, lowest)
