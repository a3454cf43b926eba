"""Multi-head attention through ``scaled_dot_product_attention``."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_core.interfaces import Cache
from tp_core.modules.layers.dropout import draws_cheaply, dropout
from tp_core.modules.layers.linear import KeylessBias, Linear
from tp_core.modules.layers.mask import AttentionState, combine
from tp_core.modules.layers.positions import GridBias, rotate
from tp_core.modules.layers.transformer_options import TransformerOptions


class Attention(nn.Module):
    """The base of self- and cross-attention: the shape of the heads, the mixing, the output projection."""

    def __init__(self, options: TransformerOptions, hidden_size: int) -> None:
        super().__init__()
        self.heads = options.num_heads
        self.groups = options.num_key_value_heads or options.num_heads
        self.size = options.head_width(hidden_size)
        self.scale = options.attention_scale or 1 / math.sqrt(self.size)
        self.dropout = options.dropout if options.attention_dropout is None else options.attention_dropout
        output_bias = options.attention_output_bias
        self.output = Linear(
            self.heads * self.size,
            hidden_size,
            bias=options.attention_bias if output_bias is None else output_bias,
            std=options.init_std,
        )

    def split(self, projected: Tensor) -> Tensor:
        """(batch, length, heads × size) → (batch, heads, length, size)."""
        batch, length, _ = projected.shape
        return projected.view(batch, length, -1, self.size).transpose(1, 2)

    def merge(self, mixed: Tensor) -> Tensor:
        """Mixed values (batch, heads, length, size) → (batch, length, hidden)."""
        output: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return output

    def mix(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool = False) -> Tensor:
        """Weighted means of the values, (batch, heads, queries, size)."""
        if self.training and self.dropout and draws_cheaply(queries):
            # PyTorch has no fused attention with dropout for a CPU, and draws a number for each weight.
            if causal:
                mask = torch.ones(queries.shape[-2], keys.shape[-2], dtype=torch.bool).tril()
            return self.weighted(self.scores(queries, keys, mask), values)
        return F.scaled_dot_product_attention(
            queries,
            keys,
            values,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=causal,
            scale=self.scale,
            enable_gqa=self.groups != self.heads,
        )

    def scores(self, queries: Tensor, keys: Tensor, mask: Tensor | None, single: bool = False) -> Tensor:
        """The scores whose softmax is the attention weights, (batch, heads, queries, keys).

        Args:
            mask: bool, True where a key may be seen; or float, which is added to the scores.
            single: True for scores in single precision, whatever the precision of the queries.
        """
        scores = (queries * self.scale) @ self._repeated(keys).transpose(-1, -2)
        scores = scores.float() if single else scores
        lowest = torch.finfo(scores.dtype).min / 2
        if mask is None:
            return scores
        if mask.dtype == torch.bool:
            return scores.masked_fill(~mask, lowest)
        # Adding two lowest values would overflow to -inf, and a row of -inf is NaN after the softmax.
        return (scores + mask).clamp(min=lowest)

    def weighted(self, scores: Tensor, values: Tensor) -> Tensor:
        """The values' means, weighted by the softmax of scores."""
        weights = dropout(scores.softmax(dim=-1).to(values.dtype), self.dropout, self.training)
        return weights @ self._repeated(values)

    def _repeated(self, heads: Tensor) -> Tensor:
        """Keys or values for each query head, where several share theirs."""
        return heads if self.groups == self.heads else heads.repeat_interleave(self.heads // self.groups, dim=1)


class SelfAttention(Attention):
    """Self-attention with one projection for queries, keys and values; grouped-query where asked.

    The rows of ``qkv.weight`` are all query heads, then all key heads, then all value heads.
    """

    def __init__(self, options: TransformerOptions, hidden_size: int) -> None:
        super().__init__(options, hidden_size)
        self.interleaved = options.rotary_interleaved
        self.residual = options.residual_attention
        queries, keys, std = self.heads * self.size, self.groups * self.size, options.init_std
        if options.attention_bias and not options.key_bias:
            self.qkv: Linear = KeylessBias(hidden_size, queries, keys, std)
        else:
            self.qkv = Linear(hidden_size, queries + 2 * keys, bias=options.attention_bias, std=std)
        grid = options.learned_grid() if options.grid_per_layer else None
        self.grid = None if grid is None else GridBias(self.heads, grid)

    def forward(
        self, states: Tensor, shared: AttentionState, cache: Cache | None = None, layer: int = 0
    ) -> tuple[Tensor, AttentionState]:
        """States (batch, length, hidden) → the same shape, and the state for the next layer."""
        heads = self.split(self.qkv(states))
        queries, keys, values = torch.split(heads, [self.heads, self.groups, self.groups], dim=1)
        if shared.rotation is not None:
            queries = rotate(queries, shared.rotation, self.interleaved)
            keys = rotate(keys, shared.rotation, self.interleaved)
        if cache is not None:
            keys, values = cache.append(f"layer{layer}", keys, values)
        if self.residual:
            mixed, shared = self._with_scores(queries, keys, values, shared)
        else:
            mask = shared.bias
            if self.grid is not None and shared.grid is not None:
                mask = combine(mask, self.grid(shared.grid, states.shape[1]), states.dtype)
            mixed = self.mix(queries, keys, values, mask, shared.causal)
        return self.merge(mixed), shared

    def _with_scores(
        self, queries: Tensor, keys: Tensor, values: Tensor, shared: AttentionState
    ) -> tuple[Tensor, AttentionState]:
        """Attention that passes its scores on to the next layer (RealFormer; He et al., 2021)."""
        scores = self.scores(queries, keys, shared.bias, single=True)
        return self.weighted(scores, values), replace(shared, bias=scores)


class CrossAttention(Attention):
    """Attention to an encoder's states. With a cache, their keys and values are made at the first call only.

    The rows of ``key_value.weight`` are all key heads, then all value heads.
    """

    def __init__(self, options: TransformerOptions, hidden_size: int, memory_size: int) -> None:
        super().__init__(options, hidden_size)
        bias, std = options.attention_bias, options.init_std
        self.query = Linear(hidden_size, self.heads * self.size, bias=bias, std=std)
        self.key_value = Linear(memory_size, 2 * self.groups * self.size, bias=bias, std=std)

    def forward(self, states: Tensor, shared: AttentionState, cache: Cache | None = None, layer: int = 0) -> Tensor:
        """States (batch, length, hidden) → the same shape."""
        kept = None if cache is None else cache.get(f"memory{layer}")
        if kept is None:
            assert shared.memory is not None
            kept = self.split(self.key_value(shared.memory)).chunk(2, dim=1)
            if cache is not None:
                cache.put(f"memory{layer}", *kept)
        keys, values = kept
        return self.merge(self.mix(self.split(self.query(states)), keys, values, shared.memory_mask))
