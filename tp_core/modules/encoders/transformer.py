"""The transformer encoder."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import cast

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tp_core.config import BuildContext
from tp_core.interfaces import Cache, Encoder, Sequence
from tp_core.modules.config import TransformerConfig
from tp_core.modules.layers.linear import Linear
from tp_core.modules.layers.mask import AttentionState, combine, positions_of, visible
from tp_core.modules.layers.norm import build_norm
from tp_core.modules.layers.positions import AlibiBias, RelativePositionBias, rotary_angles
from tp_core.modules.layers.transformer_layer import TransformerLayer


class TransformerEncoder(Encoder):
    """A stack of layers; mask, bias and rotation are made once and shared by all of them."""

    def __init__(self, config: TransformerConfig, context: BuildContext) -> None:
        super().__init__()
        self.config = config
        hidden = config.hidden_size
        # ALBERT's factorised embeddings are narrower than the states.
        self.projection = (
            Linear(context.embedding_size, hidden, std=config.init_std) if context.embedding_size != hidden else None
        )
        distinct = 1 if config.share_layers else config.num_layers
        self.layers = nn.ModuleList(TransformerLayer(config, hidden, f"layer{i}") for i in range(distinct))
        final = config.final_norm if config.final_norm is not None else config.norm_position == "pre"
        self.norm = build_norm(config.norm if final else "none", hidden, config.norm_eps, config.norm_bias)
        self.bias: nn.Module | None = None
        if config.position_encoding == "relative":
            self.bias = RelativePositionBias(
                config.num_heads,
                config.relative_buckets,
                config.relative_max_distance,
                bidirectional=config.mask == "fully_visible",
                std=config.init_std,
            )
        elif config.position_encoding == "alibi":
            self.bias = AlibiBias(config.num_heads)

    def forward(self, sequence: Sequence, cache: Cache | None = None) -> Sequence:
        """States (batch, length, embedding_size) → (batch, length, hidden_size)."""
        states = sequence.states if self.projection is None else self.projection(sequence.states)
        shared = self._shared(sequence, states, cache)
        for number in range(self.config.num_layers):
            layer = self.layers[0 if self.config.share_layers else number]
            if self.checkpoint_activations and self.training:
                states, shared = checkpoint(layer, states, shared, None, use_reentrant=False)
            elif self.config.share_layers and cache is not None:
                states, shared = layer(states, shared, _Numbered(cache, number))
            else:
                states, shared = layer(states, shared, cache)
        return sequence.with_states(self.norm(states))

    def _shared(self, sequence: Sequence, states: Tensor, cache: Cache | None) -> AttentionState:
        config = self.config
        start = 0 if cache is None else cache.length
        rotation = None
        positions = positions_of(sequence, start)
        if config.position_encoding == "rotary":
            size = int(config.head_width(config.hidden_size) * config.rotary_fraction)
            rotation = rotary_angles(positions, size, config.rotary_theta, config.rotary_interleaved, states.dtype)
        plain = sequence.mask is None and sequence.document_ids is None and cache is None
        if config.mask == "causal" and plain and self.bias is None and not config.residual_attention:
            return AttentionState(causal=True, rotation=rotation)
        allowed = visible(sequence, config.mask, cache, start)
        bias = None
        if self.bias is not None:
            keys = positions if cache is None else cache.append_positions(positions)
            bias = self.bias(positions, keys)
        return AttentionState(combine(allowed, bias, states.dtype), rotation=rotation)

    def residual_scales(self) -> Iterator[tuple[nn.Parameter, float]]:
        if self.config.scale_residual_init:
            factor = 1 / math.sqrt(2 * self.config.num_layers)
            for layer in self.layers:
                assert isinstance(layer, TransformerLayer)
                for output in (layer.attention.output, layer.feed_forward.output):
                    yield cast(nn.Parameter, output.weight), factor


class _Numbered(Cache):
    """A view of a cache for one use of a shared layer."""

    def __init__(self, cache: Cache, number: int) -> None:
        self._cache, self._number = cache, number

    def append(self, layer: str, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        return self._cache.append(f"use{self._number}", keys, values)
