"""Multi-head attention through ``scaled_dot_product_attention``."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_core.interfaces import Cache
from tp_core.modules.config import TransformerOptions
from tp_core.modules.layers.linear import Linear
from tp_core.modules.layers.mask import AttentionState
from tp_core.modules.layers.positions import rotate


class SelfAttention(nn.Module):
    """Self-attention with one projection for queries, keys and values; grouped-query where asked.

    The rows of ``qkv.weight`` are all query heads, then all key heads, then all value heads.
    """

    def __init__(self, options: TransformerOptions, hidden_size: int, name: str) -> None:
        super().__init__()
        self.name = name
        self.heads = options.num_heads
        self.groups = options.num_key_value_heads or options.num_heads
        self.size = options.head_width(hidden_size)
        self.scale = options.attention_scale or 1 / math.sqrt(self.size)
        self.interleaved = options.rotary_interleaved
        self.dropout = options.dropout if options.attention_dropout is None else options.attention_dropout
        self.residual = options.residual_attention
        output_bias = options.attention_output_bias
        width = (self.heads + 2 * self.groups) * self.size
        self.qkv = Linear(hidden_size, width, bias=options.attention_bias, std=options.init_std)
        self.output = Linear(
            self.heads * self.size,
            hidden_size,
            bias=options.attention_bias if output_bias is None else output_bias,
            std=options.init_std,
        )

    def forward(self, states: Tensor, shared: AttentionState, cache: Cache | None) -> tuple[Tensor, AttentionState]:
        """States (batch, length, hidden) → the same shape, and the state for the next layer."""
        batch, length, _ = states.shape
        projected = self.qkv(states).view(batch, length, self.heads + 2 * self.groups, self.size).transpose(1, 2)
        queries, keys, values = projected.split([self.heads, self.groups, self.groups], dim=1)
        if shared.rotation is not None:
            queries = rotate(queries, shared.rotation, self.interleaved)
            keys = rotate(keys, shared.rotation, self.interleaved)
        if cache is not None:
            keys, values = cache.append(self.name, keys, values)
        if self.residual:
            mixed, shared = self._with_scores(queries, keys, values, shared)
        else:
            mixed = F.scaled_dot_product_attention(
                queries,
                keys,
                values,
                attn_mask=shared.bias,
                dropout_p=self.dropout if self.training else 0.0,
                is_causal=shared.causal,
                scale=self.scale,
                enable_gqa=self.groups != self.heads,
            )
        return self.output(mixed.transpose(1, 2).reshape(batch, length, -1)), shared

    def _with_scores(
        self, queries: Tensor, keys: Tensor, values: Tensor, shared: AttentionState
    ) -> tuple[Tensor, AttentionState]:
        """Attention that passes its scores on to the next layer (RealFormer; He et al., 2021)."""
        if self.groups != self.heads:
            keys = keys.repeat_interleave(self.heads // self.groups, dim=1)
            values = values.repeat_interleave(self.heads // self.groups, dim=1)
        scores = (queries @ keys.transpose(-1, -2)).float() * self.scale
        if shared.bias is not None:
            if shared.bias.dtype == torch.bool:
                scores = scores.masked_fill(~shared.bias, torch.finfo(scores.dtype).min / 2)
            else:
                # Adding two lowest values would overflow to -inf, and a row of -inf is NaN after the softmax.
                scores = (scores + shared.bias).clamp(min=torch.finfo(scores.dtype).min / 2)
        weights = F.dropout(scores.softmax(dim=-1).to(values.dtype), self.dropout, self.training)
        return weights @ values, replace(shared, bias=scores)
