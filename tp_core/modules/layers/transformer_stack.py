"""A stack of transformer layers, which is all that transformer encoders and decoders consist of."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tp_core.interfaces import Cache, Module, Sequence
from tp_core.modules.layers.linear import Linear
from tp_core.modules.layers.mask import AttentionState, combine, positions_of, visible, visible_memory
from tp_core.modules.layers.norm import build_norm
from tp_core.modules.layers.positions import AlibiBias, GridBias, RelativePositionBias, rotary_angles
from tp_core.modules.layers.transformer_layer import TransformerLayer
from tp_core.modules.layers.transformer_options import TransformerOptions


class TransformerStack(Module):
    """Layers one upon the other; mask, bias and rotation are made once and shared by all of them."""

    checkpoint_activations: bool = False

    def __init__(
        self, options: TransformerOptions, input_size: int, hidden_size: int, memory_size: int | None = None
    ) -> None:
        super().__init__()
        self.options, self.hidden_size = options, hidden_size
        # ALBERT's factorised embeddings are narrower than the states.
        self.projection = Linear(input_size, hidden_size, std=options.init_std) if input_size != hidden_size else None
        distinct = 1 if options.share_layers else options.num_layers
        self.layers = nn.ModuleList(TransformerLayer(options, hidden_size, memory_size) for _ in range(distinct))
        if options.layer_drop_growing:
            for number, layer in enumerate(self.layers):
                assert isinstance(layer, TransformerLayer)
                layer.layer_drop = options.layer_drop * number / max(1, distinct - 1)
        final = options.final_norm if options.final_norm is not None else options.norm_position == "pre"
        self.norm = build_norm(options.norm if final else "none", hidden_size, options.norm_eps, options.norm_bias)
        self.bias: nn.Module | None = None
        if options.position_encoding == "relative":
            self.bias = RelativePositionBias(
                options.num_heads,
                options.relative_buckets,
                options.relative_max_distance,
                bidirectional=options.mask == "fully_visible",
                std=options.init_std,
            )
        elif options.position_encoding == "alibi":
            self.bias = AlibiBias(options.num_heads)
        self.grid = options.learned_grid()
        if self.grid is not None and not options.grid_per_layer:
            self.bias = GridBias(options.num_heads, self.grid)

    def run(self, sequence: Sequence, memory: Sequence | None = None, cache: Cache | None = None) -> Sequence:
        """States (batch, length, input_size) → (batch, length, hidden_size)."""
        states = sequence.states if self.projection is None else self.projection(sequence.states)
        shared = self._shared(sequence, states, cache)
        if memory is not None:
            shared = replace(shared, memory=memory.states, memory_mask=visible_memory(memory))
        for number in range(self.options.num_layers):
            layer = self.layers[0 if self.options.share_layers else number]
            if self.checkpoint_activations and self.training:
                states, shared = checkpoint(layer, states, shared, use_reentrant=False)
            else:
                states, shared = layer(states, shared, cache, number)
        return sequence.with_states(self.norm(states))

    def _shared(self, sequence: Sequence, states: Tensor, cache: Cache | None) -> AttentionState:
        options = self.options
        rotation = None
        positions = positions_of(sequence)
        if options.mask == "causal" and sequence.padded_behind and cache is None:
            sequence = replace(sequence, mask=None)  # no real position sees what stands behind it
        if options.position_encoding == "rotary":
            size = int(options.head_width(self.hidden_size) * options.rotary_fraction)
            rotation = rotary_angles(positions, size, options.rotary_theta, options.rotary_interleaved, states.dtype)
        plain = sequence.mask is None and sequence.document_ids is None and cache is None
        window = options.attention_window
        plain = plain and (window is None or states.shape[1] <= window)
        unbiased = options.position_encoding in ("none", "rotary") and not options.residual_attention
        if options.mask == "causal" and plain and unbiased:
            return AttentionState(causal=True, rotation=rotation)
        allowed = visible(sequence, options.mask, cache, window)
        bias, grid = None, self.grid
        if grid is not None:
            if cache is not None:
                raise NotImplementedError("relative_grid needs the whole picture")
            if "patches" in sequence.published:
                grid = sequence.published["patches"].shape[0], sequence.published["patches"].shape[1]
            bias = None if self.bias is None else self.bias(grid, states.shape[1])
        elif self.bias is not None:
            keys = positions if cache is None or cache.positions is None else cache.positions
            bias = self.bias(positions, keys)
        return AttentionState(combine(allowed, bias, states.dtype), rotation=rotation, grid=grid)

    def residual_scales(self) -> Iterator[tuple[nn.Parameter, float]]:
        if self.options.scale_residual_init:
            factor = 1 / math.sqrt(2 * self.options.num_layers)
            for layer in self.layers:
                assert isinstance(layer, TransformerLayer)
                for output in layer.residual_outputs():
                    yield cast(nn.Parameter, output.weight), factor
