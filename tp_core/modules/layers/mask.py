"""The visibility of keys to queries, as one mask or bias that layers share."""

from __future__ import annotations

import torch
from torch import Tensor

from tp_core.interfaces import KVCache, Sequence


def visible_memory(memory: Sequence) -> Tensor | None:
    """Bool (batch, 1, 1, memory length), True where a state may be attended to; None when all may.

    A sample without any real state sees all its padding instead of nothing.
    """
    if memory.mask is None:
        return None
    allowed = memory.mask[:, None, None, :]
    return allowed | ~allowed.any(dim=-1, keepdim=True)


def visible(sequence: Sequence, kind: str, kv_cache: KVCache | None, window: int | None = None) -> Tensor | None:
    """Bool (batch or 1, 1, queries, keys), True where a query sees a key; None when everything is seen.

    Every query sees itself, padding included, so that no row of the softmax is empty.

    Args:
        window: a query sees keys whose positions are less than so many away, on either side that it sees. Positions
            count, and not places: of words and a picture, padding may stand between the two.
    """
    mask, start = (sequence.mask, 0) if kv_cache is None else (kv_cache.mask, kv_cache.start)
    new = sequence.states.shape[1]
    device = sequence.states.device
    narrow = window is not None and (start + new > window or (kv_cache is None and sequence.positions is not None))
    if new == 1 and mask is None and sequence.document_ids is None and not narrow:
        return None  # the newest position sees all that came before
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
    # A sample without any real position sees all its padding instead of nothing.
    return allowed | ~allowed.any(dim=-1, keepdim=True)


def combine(allowed: Tensor | None, bias: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """One mask for attention: the mask alone, or the float bias with hidden places at the lowest value.

    Args:
        allowed: bool, True where a key may be seen; or float, another bias with hidden places.
    """
    if bias is None:
        return allowed
    bias, lowest = bias.to(dtype), torch.finfo(dtype).min
    if allowed is None:
        return bias
    if allowed.dtype != torch.bool:
        return (allowed + bias).clamp(min=lowest)
    return bias.masked_fill(~allowed, lowest)
