"""The hidden states that pass between components, and those that targets read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from tp_core.interfaces.batch import Inputs


@dataclass(frozen=True)
class Sequence:
    """Hidden states and what attention needs to know of them.

    Attributes:
        states: (batch, length, hidden).
        mask: (batch, length), True where real; None when every position is real, which lets attention take the
            fastest path. An embedding that changes the length changes the mask with it.
        padded_behind: whether all padding stands behind the real positions of its row, where causal attention does not
            look, so that it needs no mask. Who changes the mask makes this false.
        prefix_lengths: (batch,) number of leading places, padding on the left included, that ``causal_with_prefix``
            shows to everyone.
        document_ids: (batch, length) of packed rows; attention stays within equal ids.
        positions: (batch, length) position of each state where it is not simply its index.
        published: values that modules leave by name for those after them, such as the positions that were masked.
    """

    states: Tensor
    mask: Tensor | None = None
    prefix_lengths: Tensor | None = None
    document_ids: Tensor | None = None
    positions: Tensor | None = None
    published: Mapping[str, Tensor] = field(default_factory=dict)
    padded_behind: bool = False

    @classmethod
    def of(cls, states: Tensor, inputs: Inputs) -> Sequence:
        """A sequence with all that inputs say of its positions: for embeddings that make one state of each.

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
        """The same sequence with other states of the same length."""
        return replace(self, states=states)

    def real(self) -> Tensor:
        """The mask, made explicit: (batch, length) bool."""
        if self.mask is not None:
            return self.mask
        return torch.ones(self.states.shape[:2], dtype=torch.bool, device=self.states.device)

    def places(self) -> Tensor:
        """The positions, made explicit: (batch or 1, length); each state's index where there are none."""
        if self.positions is not None:
            return self.positions
        return torch.arange(self.states.shape[1], device=self.states.device).unsqueeze(0)

    def select(self, index: Tensor) -> Sequence:
        """The sequences of the samples that ``index`` names, (new batch,), in its order."""
        per_sample = ("states", "mask", "prefix_lengths", "document_ids", "positions")
        values = {name: value for name in per_sample if (value := getattr(self, name)) is not None}
        return replace(self, **{name: v if len(v) == 1 < len(self.states) else v[index] for name, v in values.items()})

    def pooled(self, how: str) -> Tensor:
        """One vector per sample, (batch, hidden), from the real positions.

        Args:
            how: ``first``, ``last``, ``mean`` or ``max``.
        """
        states = self.states
        if how == "first" and self.mask is None:
            return states[:, 0]
        mask = self.real()
        if how == "first":
            first = mask.to(torch.uint8).argmax(dim=1)
            return states[torch.arange(states.shape[0], device=states.device), first]
        if how == "last":
            index = torch.arange(states.shape[1], device=states.device)
            last = torch.where(mask, index, 0).amax(dim=1)
            return states[torch.arange(states.shape[0], device=states.device), last]
        if how == "mean":
            weights = mask.unsqueeze(-1).to(states.dtype)
            return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
        if how == "max":
            return states.masked_fill(~mask.unsqueeze(-1), torch.finfo(states.dtype).min).amax(dim=1)
        raise ValueError(f"unknown pooling '{how}'; expected first, last, mean or max")


@dataclass
class Features:
    """The sequences that targets read.

    Attributes:
        sequence: the final sequence: the decoder's if there is one, else the encoder's (of the only stream).
        streams: the final sequence of each named stream; empty without streams.
        memory: the encoder's sequence when a decoder stands after it.
    """

    sequence: Sequence
    streams: dict[str, Sequence] = field(default_factory=dict)
    memory: Sequence | None = None
