"""The hidden states that components pass to each other, and those that targets read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from tp_core.interfaces.batch import Inputs


@dataclass(frozen=True)
class Sequence:
    """Hidden states with the mask and the positions that attention needs.

    Attributes:
        states: (batch, length, hidden).
        mask: (batch, length), True where real; None when every position is real, so that attention can use the
            fastest kernel. An embedding that changes the length changes the mask too.
        read_positions: (batch, number) int64, the only positions whose final states are read later; None if all may be.
            The model sets it for the last encoder or decoder, which may compute other final states or leave them zero.
        padded_behind: True if all padding is on the right, so that causal attention needs no mask. Code that changes
            the mask sets this to False.
        prefix_lengths: (batch,) length of the prefix, padding on the left included, that every position may see under
            the mask ``causal_with_prefix``.
        document_ids: (batch, length) ids of packed documents; a position only attends to positions with the same id.
        positions: (batch, length) position number of each state; None if it is the index of the state.
        mean_weights: (batch, length) weight of each position in the pooling ``mean``, such as zero for an instruction;
            None if all real positions have the same. An embedding sets it.
        published: tensors that a module provides by name for later modules, such as the positions that were masked.
    """

    states: Tensor
    mask: Tensor | None = None
    prefix_lengths: Tensor | None = None
    document_ids: Tensor | None = None
    positions: Tensor | None = None
    published: Mapping[str, Tensor] = field(default_factory=dict)
    read_positions: Tensor | None = None
    padded_behind: bool = False
    mean_weights: Tensor | None = None

    @classmethod
    def of(cls, states: Tensor, inputs: Inputs) -> Sequence:
        """A sequence with the mask and the positions that the inputs contain.

        It is for embeddings that make one state per input position.

        Args:
            states: (batch, length, hidden).
            inputs: may have ``attention_mask`` (batch, length) or ``lengths`` (batch,), ``prefix_lengths`` (batch,),
                ``document_ids`` and ``position_ids`` (batch, length).
        """
        mask, lengths = inputs.get("attention_mask"), inputs.get("lengths")
        behind = mask is None and lengths is not None
        if mask is not None:
            mask = mask.bool()
        elif lengths is not None:
            mask = torch.arange(states.shape[1], device=states.device) < lengths.unsqueeze(1)
        return cls(
            states,
            mask=mask,
            prefix_lengths=inputs.get("prefix_lengths"),
            document_ids=inputs.get("document_ids"),
            positions=inputs.get("position_ids"),
            padded_behind=behind,
        )

    def with_states(self, states: Tensor) -> Sequence:
        """A copy of the sequence with other states of the same length."""
        return replace(self, states=states)

    def real(self) -> Tensor:
        """The mask as a bool tensor (batch, length), all True if the sequence has no mask."""
        if self.mask is not None:
            return self.mask
        return torch.ones(self.states.shape[:2], dtype=torch.bool, device=self.states.device)

    def places(self) -> Tensor:
        """The position numbers (batch or 1, length); the index of each state if the sequence has none."""
        if self.positions is not None:
            return self.positions
        return torch.arange(self.states.shape[1], device=self.states.device).unsqueeze(0)

    def select(self, index: Tensor) -> Sequence:
        """The sequence with the samples at ``index``, (new batch,), in this order."""
        per_sample = ("states", "mask", "prefix_lengths", "document_ids", "positions", "read_positions", "mean_weights")
        values = {name: value for name in per_sample if (value := getattr(self, name)) is not None}
        shared = {name for name, value in values.items() if len(value) == 1 < len(self.states)}
        return replace(self, **{name: v.index_select(0, index) for name, v in values.items() if name not in shared})

    def pooled_position(self, how: str) -> Tensor | None:
        """The position that a pooling reads, (batch, 1) int64; None for a pooling that reads all real positions."""
        if how not in ("first", "last"):
            return None
        rows, length = self.states.shape[:2]
        if self.mask is None:
            place = 0 if how == "first" else length - 1
            return torch.full((rows, 1), place, dtype=torch.int64, device=self.states.device)
        if how == "first":
            return self.mask.to(torch.uint8).argmax(dim=1, keepdim=True)
        index = torch.arange(length, device=self.states.device)
        return torch.where(self.mask, index, 0).amax(dim=1, keepdim=True)

    def pooled(self, how: str) -> Tensor:
        """One vector per sample, (batch, hidden), pooled over the real positions.

        Args:
            how: ``first``, ``last``, ``mean`` or ``max``.
        """
        states = self.states
        if how == "first" and self.mask is None:
            return states[:, 0]
        place = self.pooled_position(how)
        if place is not None:
            return states[torch.arange(states.shape[0], device=states.device), place.squeeze(1)]
        mask = self.real()
        if how == "mean":
            weights = mask.unsqueeze(-1).to(states.dtype)
            if self.mean_weights is None:
                return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
            weights = weights * self.mean_weights.unsqueeze(-1).to(states.dtype)
            return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=torch.finfo(states.dtype).tiny)
        if how == "max":
            return states.masked_fill(~mask.unsqueeze(-1), torch.finfo(states.dtype).min).amax(dim=1)
        raise ValueError(f"unknown pooling '{how}'; expected first, last, mean or max")


@dataclass
class Features:
    """The sequences that targets read.

    Attributes:
        sequence: the final sequence: the decoder's if there is one, else the encoder's (of the only stream).
        streams: the final sequence of each named stream; empty without streams.
        memory: the encoder's sequence if the model has a decoder; else None.
    """

    sequence: Sequence
    streams: dict[str, Sequence] = field(default_factory=dict)
    memory: Sequence | None = None
