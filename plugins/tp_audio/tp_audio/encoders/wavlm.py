"""WavLM's transformer: relative positions whose weight in attention depends on the states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from tp_audio.encoders.wavlm_options import WavLMEncoderConfig
from tp_core.interfaces import Cache, Encoder, Module, Sequence
from tp_core.modules.layers.attention import SelfAttention
from tp_core.modules.layers.linear import Linear
from tp_core.modules.layers.mask import AttentionState, combine, positions_of, visible
from tp_core.modules.layers.transformer_layer import TransformerLayer
from tp_core.modules.layers.transformer_options import TransformerOptions
from tp_core.modules.layers.transformer_stack import TransformerStack
from tp_core.options.context import BuildContext


@dataclass(frozen=True)
class GatedState(AttentionState):
    """The attention state that WavLM's layers share; its ``bias`` is the mask alone.

    Attributes:
        distances: (1, heads, length, length) bias of each distance, before the gate.
    """

    distances: Tensor | None = None


class Gate(Module):
    """The factor of the position bias, from the states of each head's channels (after the gates of a GRU)."""

    def __init__(self, heads: int, size: int, std: float) -> None:
        super().__init__()
        self.heads = heads
        self.projection = Linear(size, 8, std=std)
        self.scale = nn.Parameter(torch.empty(1, heads, 1, 1))

    def reset_parameters(self) -> None:
        nn.init.ones_(self.scale)

    def forward(self, states: Tensor) -> Tensor:
        """States (batch, length, hidden) → (batch, heads, length, 1)."""
        heads = states.view(*states.shape[:2], self.heads, -1).transpose(1, 2)
        gates = self.projection(heads).unflatten(-1, (2, 4)).sum(dim=-1).sigmoid()
        update, reset = gates.chunk(2, dim=-1)
        return cast(Tensor, update * (reset * self.scale - 1) + 2)


class GatedSelfAttention(SelfAttention):
    """Self-attention that adds the gated position bias to its scores."""

    def __init__(self, options: TransformerOptions, hidden_size: int) -> None:
        super().__init__(options, hidden_size)
        self.gate = Gate(self.heads, hidden_size // self.heads, options.init_std)

    def forward(
        self, states: Tensor, shared: AttentionState, cache: Cache | None = None, layer: int = 0
    ) -> tuple[Tensor, AttentionState]:
        assert isinstance(shared, GatedState)
        assert shared.distances is not None
        heads = self.split(self.qkv(states))
        queries, keys, values = torch.split(heads, [self.heads, self.groups, self.groups], dim=1)
        bias = combine(shared.bias, self.gate(states) * shared.distances, queries.dtype)
        return self.merge(self.mix(queries, keys, values, bias)), shared


class WavLMEncoder(TransformerStack, Encoder):
    """The core's transformer with a gate in every layer."""

    def __init__(self, config: WavLMEncoderConfig, context: BuildContext) -> None:
        super().__init__(config, context.embedding_size, config.hidden_size)
        for layer in self.layers:
            cast(TransformerLayer, layer).attention = GatedSelfAttention(config, config.hidden_size)

    def forward(self, sequence: Sequence, cache: Cache | None = None) -> Sequence:
        if cache is not None:
            raise NotImplementedError("WavLM's encoder reads whole recordings only")
        return self.run(sequence)

    def _shared(self, sequence: Sequence, states: Tensor, cache: Cache | None) -> AttentionState:
        assert self.bias is not None
        positions = positions_of(sequence)
        return GatedState(visible(sequence, self.options.mask, cache), distances=self.bias(positions, positions))
