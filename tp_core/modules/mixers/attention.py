"""Multi-head attention based on ``scaled_dot_product_attention``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_core.interfaces.kv_cache import CacheEntry
from tp_core.interfaces.layer_parts import Mixer, Positions, PositionValues, StackPass
from tp_core.interfaces.packing import Packing
from tp_core.interfaces.share import Share
from tp_core.modules.build import built
from tp_core.modules.layers.dropout import draws_cheaply, dropout
from tp_core.modules.layers.linear import KeylessBias, Linear
from tp_core.modules.layers.mask import combine, visible
from tp_core.modules.layers.positions_read import mask_at
from tp_core.modules.mixers.attention_options import AttentionConfig
from tp_core.options.context import BuildContext
from tp_core.options.facts import HeadFacts


class Prepared(NamedTuple):
    """Values that the attention of layers with equal options shares.

    Attributes:
        mask: None, or bool (True: visible) or float (added to the scores), broadcastable to
            (batch, heads, queries, keys).
        causal: True if the attention kernel applies the causal mask itself; ``mask`` is None in this case.
        values: ``PositionValues.values`` of the position table, or None.
    """

    mask: Tensor | None
    causal: bool
    values: Any


def _merged(heads: Tensor) -> Tensor:
    """(batch, heads, length, size) → (batch, length, heads × size)."""
    return heads.transpose(1, 2).flatten(2)


class Attention(Mixer):
    """The base of self- and cross-attention: sizes of the heads, attention itself, and the output projection."""

    share: Share | None = None  # of the heads

    def __init__(self, config: AttentionConfig, context: BuildContext) -> None:
        super().__init__()
        self.config, facts = config, config.heads(context.hidden_size)
        self.heads, self.groups, self.size = facts.number, facts.groups, facts.size
        self.scale = config.scale or 1 / math.sqrt(self.size)
        bias = config.bias if config.output_bias is None else config.output_bias
        self.output = Linear(self.heads * self.size, context.hidden_size, bias=bias, std=config.init_std)
        norm = None if config.query_key_norm is None else config.query_key_norm.config
        self.query_norm = nn.Identity() if norm is None else built(norm, self.size)
        self.key_norm = nn.Identity() if norm is None else built(norm, self.size)

    def _divide_heads(self, share: Share) -> dict[str, str]:
        """Take a share of the heads; returns the division of what self- and cross-attention have in common."""
        self.groups = share.of(self.groups, "key-value heads")
        self.heads, self.share = self.heads // share.count, share
        return {"output": "rows", "query_norm": "summed", "key_norm": "summed"}

    def merge(self, mixed: Tensor) -> Tensor:
        """Merge and project the heads: (batch, heads, length, size) → (batch, length, hidden)."""
        output: Tensor = self.output(_merged(mixed))
        return output

    def mix(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool = False) -> Tensor:
        """The means of the values, weighted by attention, (batch, heads, queries, size)."""
        if self.share is not None and self.training and self.config.dropout:
            with self.share.own_random_numbers(queries.device):
                return self._mix(queries, keys, values, mask, causal)
        return self._mix(queries, keys, values, mask, causal)

    def _mix(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        # On a CPU, PyTorch has no fused attention with dropout, and its own dropout draws a number for each weight.
        if self.config.soft_cap or (self.training and self.config.dropout and draws_cheaply(queries)):
            if causal:
                mask = queries.new_ones(queries.shape[-2], keys.shape[-2], dtype=torch.bool).tril()
            return self.weighted(self.scores(queries, keys, mask), values)
        return F.scaled_dot_product_attention(
            queries,
            keys,
            values,
            attn_mask=mask,
            dropout_p=self.config.dropout if self.training else 0.0,
            is_causal=causal,
            scale=self.scale,
            enable_gqa=self.groups != self.heads,
        )

    def scores(self, queries: Tensor, keys: Tensor, mask: Tensor | None, single: bool = False) -> Tensor:
        """The scores whose softmax is the attention weights, (batch, heads, queries, keys).

        Args:
            queries: (batch, heads, queries, size).
            keys: (batch, groups, keys, size).
            mask: bool, True where a key may be seen; or float, which is added to the scores.
            single: True to return scores in float32.
        """
        scores = (queries * self.scale) @ self._repeated(keys).transpose(-1, -2)
        scores = scores.float() if single else scores
        if self.config.soft_cap:
            scores = self.config.soft_cap * torch.tanh(scores / self.config.soft_cap)
        lowest = torch.finfo(scores.dtype).min / 2
        if mask is None:
            return scores
        if mask.dtype == torch.bool:
            return scores.masked_fill(~mask, lowest)
        # Adding two lowest values would overflow to -inf, and a row of -inf is NaN after the softmax.
        return (scores + mask).clamp(min=lowest)

    def weighted(self, scores: Tensor, values: Tensor) -> Tensor:
        """The means of the values, weighted by the softmax of the scores."""
        weights = dropout(scores.softmax(dim=-1).to(values.dtype), self.config.dropout, self.training)
        return weights @ self._repeated(values)

    def _repeated(self, heads: Tensor) -> Tensor:
        """Keys or values, repeated for each query head if several query heads share a key-value head."""
        return heads if self.groups == self.heads else heads.repeat_interleave(self.heads // self.groups, dim=1)


class SelfAttention(Attention):
    """Self-attention with one projection for queries, keys and values.

    The rows of ``qkv.weight`` are grouped by key-value head: its query heads, then its key, then its value.
    """

    def __init__(self, config: AttentionConfig, context: BuildContext) -> None:
        super().__init__(config, context)
        rows = (self.heads + 2 * self.groups) * self.size
        if config.bias and not config.key_bias:
            self.qkv: Linear = KeylessBias(context.hidden_size, self.heads, self.groups, self.size, config.init_std)
        else:
            self.qkv = Linear(context.hidden_size, rows, bias=config.bias, std=config.init_std)
        inner = config.inner_context("positions", context)
        self.positions: Positions = built(config.positions.config, inner, Positions)
        self._biased = type(self.positions).bias is not Positions.bias
        self._key = (config.positions.config, inner.fact(HeadFacts))
        table: Callable[[], Any] = partial(config.positions.config.build_table, inner)
        self._table = table if config.positions.config.table else None

    def divide(self, share: Share) -> dict[str, str]:
        # Scores that layers hand on must be those of the same heads; the bias of KeylessBias is no linear layer's.
        if self.config.residual or isinstance(self.qkv, KeylessBias) or not self.positions.any_heads():
            return {}
        return {**self._divide_heads(share), "qkv": "columns"}

    def shared_parts(self) -> Iterable[tuple[Any, Callable[[], nn.Module]]]:
        return [] if self._table is None else [(self._key, self._table)]

    def prepare(self, run: StackPass) -> Prepared:
        values, bias = run.shared(self._key) or PositionValues()
        config = self.config
        explicit = bias is not None or config.positions.config.of_layer() or config.residual or bool(config.soft_cap)
        mask, causal = run.once(("visible", config.mask, config.window, explicit), lambda: self._visible(run, explicit))
        # ``explicit`` is part of the key, because id(bias) is the same for all layers without a bias.
        key = ("masked", config.mask, config.window, explicit, id(bias))
        made = run.once(key, lambda: self._of_own_heads(combine(mask, bias, run.sequence.states.dtype)))
        return Prepared(made, causal, values)

    def _of_own_heads(self, mask: Tensor | None) -> Tensor | None:
        """A mask that may have a bias for each head, for the heads of this process."""
        if self.share is None or mask is None or mask.dim() < 4 or mask.shape[1] == 1:
            return mask
        return self.share.cut(mask, 1)

    def _visible(self, run: StackPass, explicit: bool) -> tuple[Tensor | None, bool]:
        """The mask, and True if the attention kernel shall apply the causal mask itself (the mask is None then)."""
        sequence, kind, window = run.sequence, self.config.mask, self.config.window
        if kind == "causal" and sequence.padded_behind and run.kv_cache is None:
            sequence = replace(sequence, mask=None)  # no real position sees padding on the right
        plain = sequence.mask is None and sequence.document_ids is None and run.kv_cache is None and not explicit
        if kind == "causal" and plain and (window is None or sequence.states.shape[1] <= window):
            return None, True
        return visible(sequence, kind, run.kv_cache, window), False

    def forward(
        self, states: Tensor, prepared: Prepared, carried: Tensor | None = None, kv_cache: CacheEntry | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """States (batch, length, hidden) → the same shape; and the scores if ``residual`` is set, else None."""
        queries, keys, values, mask = self._heads(self.qkv(states), states, prepared, kv_cache)
        if not self.config.residual:
            return self.merge(self.mix(queries, keys, values, mask, prepared.causal)), None
        scores = self.scores(queries, keys, mask if carried is None else carried, single=True)
        return self.merge(self.weighted(scores, values)), scores

    def forward_at(
        self, states: Tensor, positions: Tensor, prepared: Prepared, carried: Tensor | None = None
    ) -> Tensor | None:
        if self.config.residual:
            return None
        queries, keys, values, mask = self._heads(self.qkv(states), states, prepared)
        places = positions[:, None, :, None].expand(-1, self.heads, -1, self.size)
        mask = mask_at(mask, prepared.causal, positions, keys.shape[2])
        return self.merge(self.mix(queries.gather(2, places), keys, values, mask))

    def forward_packed(self, states: Tensor, packing: Packing, prepared: list[Prepared]) -> Tensor | None:
        if self.config.residual:
            return None
        parts = packing.unpack(self.qkv(states))
        given = packing.unpack(states) if self._biased else [None] * len(parts)
        mixed = []
        for part, own, values in zip(parts, given, prepared):
            heads = self._heads(part, own, values)
            mixed.append(_merged(self.mix(*heads, values.causal)))
        output: Tensor = self.output(packing.pack(mixed))
        return output

    def _heads(
        self, projected: Tensor, states: Tensor | None, prepared: Prepared, kv_cache: CacheEntry | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Queries, keys and values, (batch, heads or groups, length, size), and the mask with this layer's bias.

        Args:
            projected: the result of ``qkv``, (batch, length, size of the projection).
            states: the input of ``qkv``, from which positions may compute a bias; None if they have none of this layer.
            prepared: the values that layers share.
            kv_cache: this layer's keys and values of earlier positions.
        """
        rows = projected.view(*projected.shape[:2], self.groups, -1, self.size).permute(0, 2, 3, 1, 4)
        # The gradient of a split is one concatenation; three slices would need three sums of whole tensors.
        parts = torch.split(rows, [self.heads // self.groups, 1, 1], dim=2)
        queries, keys, values = (part.flatten(1, 2) for part in parts)
        queries, keys = self.query_norm(queries), self.key_norm(keys)
        mask = prepared.mask
        if states is not None:
            own = self.positions.bias(states, queries, prepared.values)
            mask = mask if own is None else combine(mask, own, states.dtype)
        queries, keys = self.positions.rotate(queries, keys, prepared.values)
        if kv_cache is not None:
            keys, values = kv_cache.append(keys, values)
        return queries, keys, values, mask


class CrossAttention(Attention):
    """Attention to an encoder's states. With a kv_cache, their keys and values are only computed at the first call.

    The rows of ``key_value.weight`` are grouped by key-value head: its key, then its value.
    """

    def __init__(self, config: AttentionConfig, context: BuildContext) -> None:
        super().__init__(config, context)
        bias, std = config.bias, config.init_std
        self.query = Linear(context.hidden_size, self.heads * self.size, bias=bias, std=std)
        self.key_value = Linear(context.memory_size, 2 * self.groups * self.size, bias=bias, std=std)

    def divide(self, share: Share) -> dict[str, str]:
        return {**self._divide_heads(share), "query": "columns", "key_value": "columns"}

    def forward(
        self, states: Tensor, prepared: Any, carried: Tensor | None = None, kv_cache: CacheEntry | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """States (batch, length, hidden) → the same shape.

        Args:
            states: (batch, length, hidden).
            prepared: the states to attend to, (batch, memory length, memory size), and their mask: bool, broadcastable
                to (batch, heads, queries, memory length), or None if all states are real.
            carried: not used.
            kv_cache: this layer's cache for the keys and values of the memory.
        """
        memory, mask = prepared
        kept = None if kv_cache is None else kv_cache.get()
        if kept is None:
            rows = self.key_value(memory).unflatten(-1, (self.groups, 2, self.size)).permute(0, 2, 3, 1, 4)
            keys, values = rows.unbind(2)
            kept = (self.key_norm(keys), values)
            if kv_cache is not None:
                kv_cache.put(*kept)
        queries = self.query_norm(self.query(states).unflatten(-1, (self.heads, self.size)).transpose(1, 2))
        return self.merge(self.mix(queries, kept[0], kept[1], mask)), None
