"""The visibility of keys to queries, as one mask or bias that all layers share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tp_core.interfaces import Cache, Sequence
from tp_core.modules.layers.positions import Rotation


@dataclass(frozen=True)
class AttentionState:
    """The tensors and settings that the layers of one forward pass share.

    Attributes:
        bias: None, or bool (True: visible) or float (added to the scores), broadcastable to
            (batch, heads, queries, keys).
        causal: True if causality is left to the attention kernel (``bias`` is None then).
        rotation: cosines and sines for queries and keys, or None.
        memory: (batch, memory length, memory size) states that a decoder attends to.
        memory_mask: bool, broadcastable to (batch, heads, queries, memory length), or None when all are real.
        grid: rows and columns of the patches that the sequence ends with, for layers with a bias of their own.
        fourier: of Fourier mixing, (batch, length, 2 × length) transforms, or None where every row is one text.
    """

    bias: Tensor | None = None
    causal: bool = False
    rotation: Rotation | None = None
    memory: Tensor | None = None
    memory_mask: Tensor | None = None
    grid: tuple[int, int] | None = None
    fourier: Tensor | None = None


def positions_of(sequence: Sequence) -> Tensor:
    """(batch or 1, length) positions of a sequence: its own, or each state's index."""
    if sequence.positions is not None:
        return sequence.positions
    return torch.arange(sequence.states.shape[1], device=sequence.states.device).unsqueeze(0)


def visible_memory(memory: Sequence) -> Tensor | None:
    """Bool (batch, 1, 1, memory length), True where a state may be attended to; None when all may.

    A sample without any real state sees all its padding instead of nothing.
    """
    if memory.mask is None:
        return None
    allowed = memory.mask[:, None, None, :]
    return allowed | ~allowed.any(dim=-1, keepdim=True)


def visible(sequence: Sequence, kind: str, cache: Cache | None, window: int | None = None) -> Tensor | None:
    """Bool (batch or 1, 1, queries, keys), True where a query sees a key; None when everything is seen.

    Every query sees itself, padding included, so that no row of the softmax is empty.

    Args:
        window: how many places, its own included, a causal query looks back to at most.
    """
    mask, start = (sequence.mask, 0) if cache is None else (cache.mask, cache.start)
    new = sequence.states.shape[1]
    device = sequence.states.device
    narrow = window is not None and start + new > window
    if new == 1 and mask is None and sequence.document_ids is None and not narrow:
        return None  # the newest position sees all that came before
    allowed = None if mask is None else mask[:, None, None, :]
    if kind != "fully_visible":
        index = torch.arange(start + new, device=device)
        seen = (index[None, :] <= index[start:, None])[None, None]
        if window is not None and narrow:
            seen = seen & (index[None, :] > index[start:, None] - window)
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
    """One mask for attention: the bool mask alone, or the float bias with hidden places at the lowest value."""
    if bias is None:
        return allowed
    bias = bias.to(dtype)
    return bias if allowed is None else bias.masked_fill(~allowed, torch.finfo(dtype).min)
